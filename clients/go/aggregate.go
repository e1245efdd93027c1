package sheaf

import (
	"context"

	sheafv1 "github.com/sheafdb/sheafdb/clients/go/internal/gen/sheaf/v1"
)

// AggregateOptions are options of Aggregate.
type AggregateOptions struct {
	ReadOptions
	// BatchSize is the number of documents in a message at most; 0 leaves it to the server.
	BatchSize int32
	// AllowDiskUse lets stages spill to disk; nil leaves it to the server.
	AllowDiskUse *bool
}

// Aggregate runs a pipeline over a collection and returns a cursor over its result as R, which need not be the
// collection's own type. The context governs the whole life of the cursor.
//
//	type Count struct { City string `bson:"_id"`; People int }
//	cursor, err := sheaf.Aggregate[Count](ctx, users, []sheaf.D{
//		{{"$group", sheaf.D{{"_id", "$city"}, {"people", sheaf.D{{"$sum", 1}}}}}},
//	})
func Aggregate[R, T any, S any](
	ctx context.Context, collection *Collection[T], pipeline []S, options ...AggregateOptions,
) (*Cursor[R], error) {
	chosen, err := only(options)
	if err != nil {
		return nil, err
	}
	stages, err := encodeAll("stage", pipeline)
	if err != nil {
		return nil, err
	}
	readOptions, err := chosen.ReadOptions.encode()
	if err != nil {
		return nil, err
	}
	client := collection.client()
	request := &sheafv1.AggregateRequest{
		Database: collection.database.name, Collection: collection.name, Pipeline: stages,
		BatchSize: chosen.BatchSize, AllowDiskUse: chosen.AllowDiskUse, Read: readOptions,
	}
	return newCursor[R](ctx, client, func(ctx context.Context, _ []byte) (receive, error) {
		stream, err := client.documents.Aggregate(ctx, request)
		if err != nil {
			return nil, err
		}
		return func() (batch, error) {
			message, err := stream.Recv()
			return batch{documents: message.GetDocuments(), last: message.GetFinal() != nil}, err
		}, nil
	}), nil
}
