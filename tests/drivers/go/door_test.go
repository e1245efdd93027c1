// Package door runs the Go driver against sheafd. SHEAFD_URI says where.
package door

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

var database *mongo.Database

// The name of the replica set that the server presents itself as, if it does.
var replicaSet = os.Getenv("SHEAFD_REPLICA_SET")

func TestMain(m *testing.M) {
	uri := os.Getenv("SHEAFD_URI")
	if uri == "" {
		fmt.Println("not run: SHEAFD_URI does not say where sheafd is")
		return
	}
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetServerSelectionTimeout(10 * time.Second))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	database = client.Database("go_door")
	code := m.Run()
	if err := database.Drop(context.Background()); err != nil {
		fmt.Println(err)
		code = 1
	}
	if err := client.Disconnect(context.Background()); err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

func fresh(t *testing.T) *mongo.Collection {
	t.Helper()
	collection := database.Collection(t.Name())
	must(t, collection.Drop(t.Context()))
	return collection
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, actual, expected any) {
	t.Helper()
	if !reflect.DeepEqual(actual, expected) {
		t.Fatalf("got %#v\nnot %#v", actual, expected)
	}
}

func hasCode(t *testing.T, err error, code int) {
	t.Helper()
	var server mongo.ServerError
	if !errors.As(err, &server) || !server.HasErrorCode(code) {
		t.Fatalf("should fail with %d, got %v", code, err)
	}
}

func numbers(n int) []any {
	documents := make([]any, n)
	for i := range documents {
		documents[i] = bson.D{{Key: "_id", Value: int32(i)}, {Key: "n", Value: int32(i % 10)}}
	}
	return documents
}

func TestHandshake(t *testing.T) {
	var reply bson.M
	must(t, database.Client().Database("admin").RunCommand(t.Context(), bson.D{{Key: "hello", Value: 1}}).Decode(&reply))
	same(t, reply["isWritablePrimary"], true)
	name, _ := reply["setName"].(string)
	same(t, name, replicaSet)
	err := database.RunCommand(t.Context(), bson.D{{Key: "noSuchCommand", Value: 1}}).Err()
	hasCode(t, err, 59)
}

func TestInsertFindUpdateDelete(t *testing.T) {
	people := fresh(t)
	inserted, err := people.InsertOne(t.Context(), bson.D{{Key: "name", Value: "Ada"}, {Key: "born", Value: int32(1815)}})
	must(t, err)
	var ada struct {
		ID   bson.ObjectID `bson:"_id"`
		Name string
		Born int
	}
	must(t, people.FindOne(t.Context(), bson.D{{Key: "name", Value: "Ada"}}).Decode(&ada))
	same(t, []any{ada.ID, ada.Name, ada.Born}, []any{inserted.InsertedID, "Ada", 1815})
	same(t, people.FindOne(t.Context(), bson.D{{Key: "name", Value: "nobody"}}).Err(), mongo.ErrNoDocuments)

	_, err = people.InsertMany(t.Context(), numbers(20))
	must(t, err)
	cursor, err := people.Find(t.Context(), bson.D{{Key: "n", Value: bson.D{{Key: "$gte", Value: 8}}}},
		options.Find().SetSort(bson.D{{Key: "_id", Value: -1}}).SetLimit(2).SetProjection(bson.D{{Key: "n", Value: 1}}))
	must(t, err)
	var found []bson.D
	must(t, cursor.All(t.Context(), &found))
	same(t, found, []bson.D{
		{{Key: "_id", Value: int32(19)}, {Key: "n", Value: int32(9)}},
		{{Key: "_id", Value: int32(18)}, {Key: "n", Value: int32(8)}},
	})
	updated, err := people.UpdateMany(t.Context(), bson.D{{Key: "n", Value: 3}}, bson.D{{Key: "$set", Value: bson.D{{Key: "x", Value: "y"}}}})
	must(t, err)
	same(t, []int64{updated.MatchedCount, updated.ModifiedCount}, []int64{2, 2})
	upserted, err := people.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: int32(77)}},
		bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: int32(1)}}}}, options.UpdateOne().SetUpsert(true))
	must(t, err)
	same(t, upserted.UpsertedID, any(int32(77)))
	var after bson.M
	must(t, people.FindOneAndUpdate(t.Context(), bson.D{{Key: "_id", Value: int32(77)}},
		bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: int32(4)}}}},
		options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&after))
	same(t, after, bson.M{"_id": int32(77), "n": int32(5)})
	replaced, err := people.ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: int32(77)}}, bson.D{{Key: "z", Value: true}})
	must(t, err)
	same(t, replaced.ModifiedCount, int64(1))
	deleted, err := people.DeleteMany(t.Context(), bson.D{{Key: "n", Value: bson.D{{Key: "$lt", Value: 5}}}})
	must(t, err)
	same(t, deleted.DeletedCount, int64(10))
	count, err := people.CountDocuments(t.Context(), bson.D{})
	must(t, err)
	same(t, count, int64(12))
	var values []int32
	must(t, people.Distinct(t.Context(), "n", bson.D{}).Decode(&values))
	slices.Sort(values)
	same(t, values, []int32{5, 6, 7, 8, 9})
}

func TestTypes(t *testing.T) {
	types := fresh(t)
	decimal, err := bson.ParseDecimal128("0.10")
	must(t, err)
	document := bson.D{
		{Key: "_id", Value: int32(1)},
		{Key: "long", Value: int64(5)},
		{Key: "double", Value: 0.1},
		{Key: "decimal", Value: decimal},
		{Key: "when", Value: bson.NewDateTimeFromTime(time.Unix(1_700_000_000, 0))},
		{Key: "binary", Value: bson.Binary{Subtype: 4, Data: []byte("0123456789abcdef")}},
		{Key: "regex", Value: bson.Regex{Pattern: "^a", Options: "i"}},
		{Key: "stamp", Value: bson.Timestamp{T: 7, I: 9}},
		{Key: "none", Value: nil},
		{Key: "nested", Value: bson.D{{Key: "list", Value: bson.A{int32(1), bson.A{"two"}}}}},
		{Key: "min", Value: bson.MinKey{}},
	}
	_, err = types.InsertOne(t.Context(), document)
	must(t, err)
	var back bson.D
	must(t, types.FindOne(t.Context(), bson.D{}).Decode(&back))
	same(t, back, document)
}

func TestBulkWrites(t *testing.T) {
	bulk := fresh(t)
	_, err := bulk.InsertMany(t.Context(), numbers(3))
	must(t, err)
	result, err := bulk.BulkWrite(t.Context(), []mongo.WriteModel{
		mongo.NewInsertOneModel().SetDocument(bson.D{{Key: "_id", Value: int32(3)}}),
		mongo.NewUpdateManyModel().SetFilter(bson.D{}).SetUpdate(bson.D{{Key: "$set", Value: bson.D{{Key: "seen", Value: true}}}}),
		mongo.NewReplaceOneModel().SetFilter(bson.D{{Key: "_id", Value: int32(9)}}).SetReplacement(bson.D{{Key: "n", Value: 1}}).SetUpsert(true),
		mongo.NewDeleteOneModel().SetFilter(bson.D{{Key: "_id", Value: int32(0)}}),
	})
	must(t, err)
	same(t, []int64{result.InsertedCount, result.ModifiedCount, result.UpsertedCount, result.DeletedCount}, []int64{1, 4, 1, 1})
	_, err = bulk.InsertMany(t.Context(), numbers(5), options.InsertMany().SetOrdered(false))
	var failed mongo.BulkWriteException
	if !errors.As(err, &failed) || !mongo.IsDuplicateKeyError(err) {
		t.Fatal(err)
	}
	// 1, 2 and 3 are there; 0 and 4 are new.
	indexes := []int{}
	for _, one := range failed.WriteErrors {
		indexes = append(indexes, one.Index)
	}
	same(t, indexes, []int{1, 2, 3})
	clientResult, err := database.Client().BulkWrite(t.Context(), []mongo.ClientBulkWrite{
		{Database: database.Name(), Collection: bulk.Name(), Model: mongo.NewClientInsertOneModel().SetDocument(bson.D{{Key: "_id", Value: "x"}})},
		{Database: database.Name(), Collection: bulk.Name(), Model: mongo.NewClientDeleteManyModel().SetFilter(bson.D{})},
	})
	must(t, err)
	same(t, []int64{clientResult.InsertedCount, clientResult.DeletedCount}, []int64{1, 7})
}

func TestCursors(t *testing.T) {
	many := fresh(t)
	_, err := many.InsertMany(t.Context(), numbers(500))
	must(t, err)
	cursor, err := many.Find(t.Context(), bson.D{}, options.Find().SetBatchSize(7).SetSort(bson.D{{Key: "_id", Value: 1}}))
	must(t, err)
	next := int32(0)
	for cursor.Next(t.Context()) {
		same(t, cursor.Current.Lookup("_id").Int32(), next)
		next++
	}
	must(t, cursor.Err())
	same(t, next, int32(500))

	cursor, err = many.Find(t.Context(), bson.D{}, options.Find().SetBatchSize(10))
	must(t, err)
	cursor.Next(t.Context())
	id := cursor.ID()
	if id == 0 {
		t.Fatal("the cursor has nothing more")
	}
	must(t, cursor.Close(t.Context()))
	err = database.RunCommand(t.Context(), bson.D{{Key: "getMore", Value: id}, {Key: "collection", Value: many.Name()}}).Err()
	hasCode(t, err, 43)

	session, err := database.Client().StartSession()
	must(t, err)
	defer session.EndSession(t.Context())
	must(t, mongo.WithSession(t.Context(), session, func(ctx context.Context) error {
		cursor, err := many.Find(ctx, bson.D{}, options.Find().SetBatchSize(100))
		if err != nil {
			return err
		}
		var all []bson.D
		if err := cursor.All(ctx, &all); err != nil {
			return err
		}
		same(t, len(all), 500)
		return nil
	}))
}

func TestTransactions(t *testing.T) {
	accounts := fresh(t)
	_, err := accounts.InsertMany(t.Context(), numbers(2))
	must(t, err)
	add := func(ctx context.Context, amount int32) error {
		_, err := accounts.UpdateMany(ctx, bson.D{}, bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: amount}}}})
		return err
	}
	total := func() int32 {
		cursor, err := accounts.Find(t.Context(), bson.D{})
		must(t, err)
		sum := int32(0)
		for cursor.Next(t.Context()) {
			sum += cursor.Current.Lookup("n").Int32()
		}
		must(t, cursor.Err())
		return sum
	}
	session, err := database.Client().StartSession()
	must(t, err)
	defer session.EndSession(t.Context())
	_, err = session.WithTransaction(t.Context(), func(ctx context.Context) (any, error) { return nil, add(ctx, 10) })
	if replicaSet == "" {
		hasCode(t, err, 20)
		return
	}
	must(t, err)
	same(t, total(), int32(21))
	changedMind := errors.New("changed my mind")
	_, err = session.WithTransaction(t.Context(), func(ctx context.Context) (any, error) {
		if err := add(ctx, 100); err != nil {
			return nil, err
		}
		return nil, changedMind
	})
	same(t, err, changedMind)
	same(t, total(), int32(21))
}

func TestAggregation(t *testing.T) {
	orders := fresh(t)
	_, err := orders.InsertMany(t.Context(), numbers(100))
	must(t, err)
	cursor, err := orders.Aggregate(t.Context(), mongo.Pipeline{
		{{Key: "$match", Value: bson.D{{Key: "n", Value: bson.D{{Key: "$in", Value: bson.A{1, 2}}}}}}},
		{{Key: "$group", Value: bson.D{{Key: "_id", Value: "$n"}, {Key: "sum", Value: bson.D{{Key: "$sum", Value: "$_id"}}}, {Key: "avg", Value: bson.D{{Key: "$avg", Value: "$_id"}}}}}},
		{{Key: "$sort", Value: bson.D{{Key: "_id", Value: 1}}}},
	})
	must(t, err)
	var grouped []bson.D
	must(t, cursor.All(t.Context(), &grouped))
	same(t, grouped, []bson.D{
		{{Key: "_id", Value: int32(1)}, {Key: "sum", Value: int32(460)}, {Key: "avg", Value: 46.0}},
		{{Key: "_id", Value: int32(2)}, {Key: "sum", Value: int32(470)}, {Key: "avg", Value: 47.0}},
	})
	_, err = orders.Aggregate(t.Context(), mongo.Pipeline{{{Key: "$nothing", Value: bson.D{}}}})
	hasCode(t, err, 40324)
}

func TestIndexes(t *testing.T) {
	users := fresh(t)
	names, err := users.Indexes().CreateMany(t.Context(), []mongo.IndexModel{
		{Keys: bson.D{{Key: "mail", Value: 1}}, Options: options.Index().SetUnique(true)},
		{Keys: bson.D{{Key: "age", Value: -1}, {Key: "name", Value: 1}}, Options: options.Index().SetName("by_age")},
	})
	must(t, err)
	same(t, names, []string{"mail_1", "by_age"})
	_, err = users.InsertOne(t.Context(), bson.D{{Key: "mail", Value: "a@x"}})
	must(t, err)
	_, err = users.InsertOne(t.Context(), bson.D{{Key: "mail", Value: "a@x"}})
	if !mongo.IsDuplicateKeyError(err) || !strings.Contains(err.Error(), "mail_1") {
		t.Fatal(err)
	}
	specifications, err := users.Indexes().ListSpecifications(t.Context())
	must(t, err)
	listed := []string{}
	for _, index := range specifications {
		listed = append(listed, index.Name)
	}
	slices.Sort(listed)
	same(t, listed, []string{"_id_", "by_age", "mail_1"})
	var plan bson.M
	must(t, database.RunCommand(t.Context(), bson.D{{Key: "explain", Value: bson.D{
		{Key: "find", Value: users.Name()}, {Key: "filter", Value: bson.D{{Key: "mail", Value: "a@x"}}}}}}).Decode(&plan))
	if !strings.Contains(fmt.Sprint(plan["queryPlanner"]), "IXSCAN") {
		t.Fatal(plan)
	}
	must(t, users.Indexes().DropOne(t.Context(), "by_age"))
	specifications, err = users.Indexes().ListSpecifications(t.Context())
	must(t, err)
	same(t, len(specifications), 2)
}

func TestGridFS(t *testing.T) {
	bucket := database.GridFSBucket(options.GridFSBucket().SetName("files").SetChunkSizeBytes(64 << 10))
	if err := bucket.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("sixteen bytes..."), 1<<16)
	id, err := bucket.UploadFromStream(t.Context(), "a.bin", bytes.NewReader(data),
		options.GridFSUpload().SetMetadata(bson.D{{Key: "kind", Value: "test"}}))
	must(t, err)
	chunks, err := database.Collection("files.chunks").CountDocuments(t.Context(), bson.D{{Key: "files_id", Value: id}})
	must(t, err)
	same(t, chunks, int64(16))
	var back bytes.Buffer
	_, err = bucket.DownloadToStream(t.Context(), id, &back)
	must(t, err)
	if !bytes.Equal(back.Bytes(), data) {
		t.Fatal("other bytes came back")
	}
	must(t, bucket.Delete(t.Context(), id))
	chunks, err = database.Collection("files.chunks").CountDocuments(t.Context(), bson.D{})
	must(t, err)
	same(t, chunks, int64(0))
}
