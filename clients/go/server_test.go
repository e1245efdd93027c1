package sheaf_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sheaf "github.com/sheafdb/sheafdb/clients/go"
	"github.com/sheafdb/sheafdb/clients/go/internal/sheafd"
)

type user struct {
	ID    sheaf.ObjectID `bson:"_id,omitempty"`
	Name  string         `bson:"name"`
	Age   int            `bson:"age"`
	Words []string       `bson:"words,omitempty"`
}

func connect(t *testing.T, server *sheafd.Server) *sheaf.Client {
	t.Helper()
	client, err := sheaf.Connect(server.URI)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// start starts a server and returns a collection in an empty database.
func start(t *testing.T) *sheaf.Collection[user] {
	t.Helper()
	client := connect(t, sheafd.Start(t, t.TempDir(), ""))
	return sheaf.C[user](client.Database("app"), "users")
}

func people(count int) []user {
	users := make([]user, count)
	for n := range users {
		users[n] = user{Name: fmt.Sprintf("user %05d", n), Age: n % 100, Words: []string{"all", fmt.Sprint(n % 7)}}
	}
	return users
}

func insert(t *testing.T, users *sheaf.Collection[user], documents []user) []any {
	t.Helper()
	ids, err := users.InsertMany(t.Context(), documents)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestAServerIsPinged(t *testing.T) {
	server := sheafd.Start(t, t.TempDir(), "")
	client := connect(t, server)
	if err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.Terminate(); err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context()); !errors.Is(err, sheaf.ErrUnavailable) {
		t.Fatal(err)
	}
}

func TestADocumentGoesInAndComesBack(t *testing.T) {
	users := start(t)
	ada := user{Name: "Ada", Age: 36}
	id, err := users.InsertOne(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	ada.ID = id.(sheaf.ObjectID)
	got, err := users.Get(t.Context(), id)
	if err != nil || got.Name != ada.Name || got.ID != ada.ID {
		t.Fatal(got, err)
	}
	got, err = users.FindOne(t.Context(), sheaf.D{{Key: "name", Value: "Ada"}})
	if err != nil || got.Age != 36 {
		t.Fatal(got, err)
	}
	if _, err := users.Get(t.Context(), "nobody"); !errors.Is(err, sheaf.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := users.FindOne(t.Context(), sheaf.D{{Key: "name", Value: "Bob"}}); !errors.Is(err, sheaf.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestAStreamOfManyBatchesIsComplete(t *testing.T) {
	users := start(t)
	insert(t, users, people(5000))
	cursor, err := users.Find(t.Context(), nil, sheaf.FindOptions{BatchSize: 97})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for found, err := range cursor.Seq() {
		if err != nil {
			t.Fatal(err)
		}
		seen[found.Name] = true
	}
	if len(seen) != 5000 {
		t.Fatal(len(seen))
	}
}

func TestQueriesSortSkipLimitAndProject(t *testing.T) {
	users := start(t)
	insert(t, users, people(300))
	cursor, err := users.Find(t.Context(), sheaf.D{{Key: "age", Value: sheaf.D{{Key: "$gte", Value: 98}}}},
		sheaf.FindOptions{
			Sort: sheaf.D{{Key: "name", Value: -1}}, Skip: 1, Limit: 3, Projection: sheaf.D{{Key: "name", Value: 1}},
		})
	if err != nil {
		t.Fatal(err)
	}
	found, err := cursor.All()
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, user := range found {
		if user.Age != 0 {
			t.Error("the projection let the age through")
		}
		names = append(names, user.Name)
	}
	if want := []string{"user 00298", "user 00199", "user 00198"}; !slices.Equal(names, want) {
		t.Fatal(names)
	}
}

func TestUpdatesReplacementsAndDeletions(t *testing.T) {
	users := start(t)
	insert(t, users, people(10))
	ctx := t.Context()
	inc := sheaf.D{{Key: "$inc", Value: sheaf.D{{Key: "age", Value: 100}}}}
	young := sheaf.D{{Key: "age", Value: sheaf.D{{Key: "$lt", Value: 5}}}}

	one, err := users.UpdateOne(ctx, young, inc)
	if err != nil || one.Matched != 1 || one.Modified != 1 || one.UpsertedID != nil {
		t.Fatal(one, err)
	}
	many, err := users.UpdateMany(ctx, young, inc)
	if err != nil || many.Matched != 4 || many.Modified != 4 {
		t.Fatal(many, err)
	}
	upserted, err := users.UpdateOne(ctx, sheaf.D{{Key: "name", Value: "new"}},
		sheaf.D{{Key: "$set", Value: sheaf.D{{Key: "age", Value: 1}}}}, sheaf.UpdateOptions{Upsert: true})
	if err != nil || upserted.UpsertedID == nil || upserted.Matched != 0 {
		t.Fatal(upserted, err)
	}
	replaced, err := users.ReplaceOne(ctx, sheaf.D{{Key: "name", Value: "new"}}, user{Name: "newer", Age: 2})
	if err != nil || replaced.Modified != 1 {
		t.Fatal(replaced, err)
	}
	if got, err := users.Get(ctx, upserted.UpsertedID); err != nil || got.Name != "newer" {
		t.Fatal(got, err)
	}
	if deleted, err := users.DeleteOne(ctx, sheaf.D{{Key: "name", Value: "newer"}}); err != nil || deleted != 1 {
		t.Fatal(deleted, err)
	}
	if deleted, err := users.DeleteMany(ctx, sheaf.D{{Key: "age", Value: sheaf.D{{Key: "$gte", Value: 100}}}}); err != nil || deleted != 5 {
		t.Fatal(deleted, err)
	}
	if left, err := users.Count(ctx, nil); err != nil || left != 5 {
		t.Fatal(left, err)
	}
}

func TestFindOneAndChange(t *testing.T) {
	users := start(t)
	insert(t, users, people(3))
	ctx := t.Context()
	first := sheaf.D{{Key: "name", Value: "user 00000"}}
	set := sheaf.D{{Key: "$set", Value: sheaf.D{{Key: "age", Value: 50}}}}
	before, err := users.FindOneAndUpdate(ctx, first, set)
	if err != nil || before.Age != 0 {
		t.Fatal(before, err)
	}
	after, err := users.FindOneAndUpdate(ctx, first,
		sheaf.D{{Key: "$inc", Value: sheaf.D{{Key: "age", Value: 1}}}}, sheaf.FindAndModifyOptions{ReturnNew: true})
	if err != nil || after.Age != 51 {
		t.Fatal(after, err)
	}
	gone, err := users.FindOneAndDelete(ctx, first)
	if err != nil || gone.Age != 51 {
		t.Fatal(gone, err)
	}
	if _, err := users.FindOneAndDelete(ctx, first); !errors.Is(err, sheaf.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestAUniqueIndexRefusesADuplicateAndSaysWhich(t *testing.T) {
	users := start(t)
	ctx := t.Context()
	name, err := users.CreateIndex(ctx, sheaf.Index{Keys: sheaf.D{{Key: "name", Value: 1}}, Unique: true})
	if err != nil || name != "name_1" {
		t.Fatal(name, err)
	}
	insert(t, users, []user{{Name: "Ada"}})
	_, err = users.InsertOne(ctx, user{Name: "Ada"})
	var failed *sheaf.Error
	if !errors.Is(err, sheaf.ErrDuplicateKey) || !errors.As(err, &failed) || failed.Metadata["code"] != "11000" {
		t.Fatal(err)
	}
	if pattern, lookupErr := failed.Details.LookupErr("keyPattern"); lookupErr != nil || pattern.Document().Lookup("name").Type == 0 {
		t.Fatal(failed.Details, lookupErr)
	}

	ids, err := users.InsertMany(ctx, []user{{Name: "Bob"}, {Name: "Ada"}, {Name: "Cy"}})
	var bulk *sheaf.BulkError
	if !errors.As(err, &bulk) || len(bulk.Failed) != 1 || bulk.Failed[0].Index != 1 || bulk.Untried != 1 {
		t.Fatal(err)
	}
	if ids[0] == nil || ids[1] != nil || ids[2] != nil {
		t.Fatal(ids)
	}
	ids, err = users.InsertMany(ctx, []user{{Name: "Bob"}, {Name: "Di"}}, sheaf.WriteOptions{Unordered: true})
	if !errors.Is(err, sheaf.ErrDuplicateKey) || ids[0] != nil || ids[1] == nil {
		t.Fatal(ids, err)
	}

	indexes, err := users.ListIndexes(ctx)
	if err != nil || len(indexes) != 2 || indexes[0].Name != "_id_" || !indexes[1].Unique {
		t.Fatal(indexes, err)
	}
	if err := users.DropIndexes(ctx, "name_1"); err != nil {
		t.Fatal(err)
	}
	insert(t, users, []user{{Name: "Ada"}})
	if err := users.DropIndexes(ctx, "name_1"); !errors.Is(err, sheaf.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestAggregateCountDistinct(t *testing.T) {
	users := start(t)
	insert(t, users, people(700))
	ctx := t.Context()
	type group struct {
		Age   int `bson:"_id"`
		Count int `bson:"count"`
	}
	cursor, err := sheaf.Aggregate[group](ctx, users, []sheaf.D{
		{{Key: "$match", Value: sheaf.D{{Key: "age", Value: sheaf.D{{Key: "$lt", Value: 3}}}}}},
		{{Key: "$group", Value: sheaf.D{{Key: "_id", Value: "$age"}, {Key: "count", Value: sheaf.D{{Key: "$sum", Value: 1}}}}}},
		{{Key: "$sort", Value: sheaf.D{{Key: "_id", Value: 1}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	groups, err := cursor.All()
	if err != nil || !slices.Equal(groups, []group{{0, 7}, {1, 7}, {2, 7}}) {
		t.Fatal(groups, err)
	}
	if count, err := users.Count(ctx, sheaf.D{{Key: "words", Value: "3"}}); err != nil || count != 100 {
		t.Fatal(count, err)
	}
	words, err := users.Distinct(ctx, "words", sheaf.D{{Key: "age", Value: 3}})
	if err != nil || len(words) != 8 || !slices.Contains(words, any("all")) {
		t.Fatal(words, err)
	}
}

func TestDatabasesAndCollectionsAreListedAndDropped(t *testing.T) {
	users := start(t)
	ctx := t.Context()
	database := users.Database()
	insert(t, users, people(2))
	if err := database.CreateCollection(ctx, "empty", nil); err != nil {
		t.Fatal(err)
	}
	collections, err := database.ListCollections(ctx)
	if err != nil || len(collections) != 2 || collections[0].Name != "empty" || collections[1].Name != "users" {
		t.Fatal(collections, err)
	}
	databases, err := database.Client().ListDatabases(ctx)
	if err != nil || !slices.ContainsFunc(databases, func(info sheaf.DatabaseInfo) bool { return info.Name == "app" }) {
		t.Fatal(databases, err)
	}
	if stats, err := users.Stats(ctx); err != nil || stats.Documents != 2 || stats.Indexes != 1 {
		t.Fatal(stats, err)
	}
	if err := users.Drop(ctx); err != nil {
		t.Fatal(err)
	}
	if count, err := users.Count(ctx, nil); err != nil || count != 0 {
		t.Fatal(count, err)
	}
	if err := database.Drop(ctx); err != nil {
		t.Fatal(err)
	}
	if collections, err := database.ListCollections(ctx); err != nil || len(collections) != 0 {
		t.Fatal(collections, err)
	}
}

func TestAPlanIsExplained(t *testing.T) {
	users := start(t)
	insert(t, users, people(10))
	plan, err := users.Explain(t.Context(), sheaf.ExplainPlan, sheaf.D{{Key: "age", Value: 3}})
	if err != nil {
		t.Fatal(err)
	}
	stage, err := plan.LookupErr("queryPlanner", "winningPlan", "stage")
	if err != nil || stage.StringValue() != "COLLSCAN" {
		t.Fatal(plan, err)
	}
}

func TestAWrongQueryIsInvalid(t *testing.T) {
	users := start(t)
	insert(t, users, people(1))
	for name, filter := range map[string]any{
		"unknown operator": sheaf.D{{Key: "age", Value: sheaf.D{{Key: "$nonsense", Value: 1}}}},
		"malformed":        sheaf.Raw{9, 0, 0, 0, 1, 0},
	} {
		if _, err := users.FindOne(t.Context(), filter); !errors.Is(err, sheaf.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := users.InsertOne(t.Context(), user{Name: strings.Repeat("x", 17<<20)})
	var failed *sheaf.Error
	if !errors.As(err, &failed) || failed.Reason != "DOCUMENT_TOO_LARGE" {
		t.Fatal(err)
	}
}

func TestAStreamSurvivesTheRestartOfTheServer(t *testing.T) {
	data := t.TempDir()
	server := sheafd.Start(t, data, "")
	client := connect(t, server)
	users := sheaf.C[user](client.Database("app"), "users")
	insert(t, users, people(3000))

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cursor, err := users.Find(ctx, nil, sheaf.FindOptions{BatchSize: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer cursor.Close()
	seen := map[sheaf.ObjectID]int{}
	for cursor.Next() {
		found, err := cursor.Decode()
		if err != nil {
			t.Fatal(err)
		}
		seen[found.ID]++
		if len(seen) == 100 {
			server.Kill()
			server = sheafd.Start(t, data, strings.TrimPrefix(server.URI, "sheaf://"))
		}
	}
	if err := cursor.Err(); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 3000 {
		t.Fatal(len(seen))
	}
	for id, times := range seen {
		if times != 1 {
			t.Fatal(id, times)
		}
	}
}

func TestAcknowledgedWritesSurviveAKill(t *testing.T) {
	data := t.TempDir()
	server := sheafd.Start(t, data, "")
	client := connect(t, server)
	users := sheaf.C[user](client.Database("app"), "users")
	acknowledged := make(chan any, 100_000)
	done := make(chan error)
	const writers = 4
	for range writers {
		go func() {
			for {
				id, err := users.InsertOne(context.Background(), user{Name: "x"})
				if err != nil {
					done <- err
					return
				}
				acknowledged <- id
			}
		}()
	}
	time.Sleep(500 * time.Millisecond)
	server.Kill()
	for range writers {
		if err := <-done; !errors.Is(err, sheaf.ErrUnavailable) {
			t.Error(err)
		}
	}
	close(acknowledged)
	server = sheafd.Start(t, data, strings.TrimPrefix(server.URI, "sheaf://"))
	count := 0
	for id := range acknowledged {
		if _, err := users.Get(t.Context(), id); err != nil {
			t.Fatal(id, err)
		}
		count++
	}
	t.Logf("%d acknowledged writes are there", count)
	if count == 0 {
		t.Fatal("nothing was acknowledged in half a second")
	}
	if err := server.Terminate(); err != nil {
		t.Fatal(err)
	}
}
