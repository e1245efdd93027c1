// Package sheaf is the Go client of SheafDB, a document database with MongoDB's data model and query language.
//
//	client, err := sheaf.Connect("sheaf://127.0.0.1:7070")
//	if err != nil { ... }
//	defer client.Close()
//
//	type User struct {
//		ID   sheaf.ObjectID `bson:"_id,omitempty"`
//		Name string         `bson:"name"`
//		Age  int            `bson:"age"`
//	}
//	users := sheaf.C[User](client.Database("app"), "users")
//
//	_, err = users.InsertOne(ctx, User{Name: "Ada", Age: 36})
//	cursor, err := users.Find(ctx, sheaf.D{{"age", sheaf.D{{"$gt", 30}}}}, sheaf.FindOptions{Limit: 10})
//	for user, err := range cursor.Seq() { ... }
//
// # Documents
//
// Documents travel as BSON. Values are encoded and decoded by the tags `bson`, and where a field has none by `json`.
// D, M, A, Raw and the value types are those of go.mongodb.org/mongo-driver/v2/bson, so code that has them keeps them.
//
// # Contexts, deadlines, retries
//
// The deadline of a context travels to the server, which stops working when it passes. Reads are tried again while the
// server is unavailable, for at most the time WithRetryTimeout sets. A stream of documents that breaks goes on where it
// was, on a new connection, even to a restarted server, where the server can resume its query (it says so with every
// batch); otherwise the break is an error. Writes are tried again only if the server cannot have seen them.
//
// # Errors
//
// What fails is an *Error, with the server's canonical code and a reason. errors.Is compares it to ErrNotFound,
// ErrDuplicateKey, ErrConflict, ErrInvalid, ErrUnavailable and ErrTimeout.
package sheaf
