package sheaf

import (
	"context"

	sheafv1 "github.com/sheafdb/sheafdb/clients/go/internal/gen/sheaf/v1"
)

// FindOptions are options of Find, FindOne and Explain. The zero value finds everything that matches.
type FindOptions struct {
	ReadOptions
	// Sort is the order, such as D{{"age", -1}}.
	Sort any
	// Projection is the fields to return, such as D{{"name", 1}}.
	Projection any
	// Skip is the number of documents to pass over.
	Skip int64
	// Limit is the number of documents to return at most; 0 means all.
	Limit int64
	// BatchSize is the number of documents in a message at most; 0 leaves it to the server.
	BatchSize int32
}

func (c *Collection[T]) findRequest(filter any, options []FindOptions) (*sheafv1.FindRequest, error) {
	chosen, err := only(options)
	if err != nil {
		return nil, err
	}
	query := &sheafv1.Query{Skip: chosen.Skip, Limit: chosen.Limit}
	if query.Filter, err = encode("the filter", filter); err != nil {
		return nil, err
	}
	if query.Sort, err = encode("the sort", chosen.Sort); err != nil {
		return nil, err
	}
	if query.Projection, err = encode("the projection", chosen.Projection); err != nil {
		return nil, err
	}
	if query.Read, err = chosen.ReadOptions.encode(); err != nil {
		return nil, err
	}
	return &sheafv1.FindRequest{
		Database: c.database.name, Collection: c.name, Query: query, BatchSize: chosen.BatchSize,
	}, nil
}

// Find returns a cursor over the documents that match a filter; nil matches all. The context governs the whole life
// of the cursor, which must be closed, read to its end, or have its context ended.
func (c *Collection[T]) Find(ctx context.Context, filter any, options ...FindOptions) (*Cursor[T], error) {
	request, err := c.findRequest(filter, options)
	if err != nil {
		return nil, err
	}
	return newCursor[T](ctx, c.client(), func(ctx context.Context, token []byte) (receive, error) {
		request.ResumeToken = token
		stream, err := c.client().documents.Find(ctx, request)
		if err != nil {
			return nil, err
		}
		return func() (batch, error) {
			message, err := stream.Recv()
			return batch{
				documents: message.GetDocuments(), token: message.GetResumeToken(), last: message.GetFinal() != nil,
			}, err
		}, nil
	}), nil
}

// FindOne returns the first document that matches a filter. ErrNotFound if there is none.
func (c *Collection[T]) FindOne(ctx context.Context, filter any, options ...FindOptions) (T, error) {
	var none T
	chosen, err := only(options)
	if err != nil {
		return none, err
	}
	chosen.Limit = 1
	cursor, err := c.Find(ctx, filter, chosen)
	if err != nil {
		return none, err
	}
	defer cursor.Close()
	if !cursor.Next() {
		if err := cursor.Err(); err != nil {
			return none, err
		}
		return none, notFound("no document of " + c.database.name + "." + c.name + " matches the filter")
	}
	return cursor.Decode()
}

// ExplainMode says how deeply a query is explained.
type ExplainMode int32

// How deeply a query is explained.
const (
	// ExplainPlan returns the plan and does not run the query.
	ExplainPlan ExplainMode = iota + 1
	// ExplainExecution runs the query and returns what each stage did.
	ExplainExecution
	// ExplainAllPlans adds the plans that were not taken.
	ExplainAllPlans
)

// Explain returns how the server answers a query.
func (c *Collection[T]) Explain(
	ctx context.Context, mode ExplainMode, filter any, options ...FindOptions,
) (Raw, error) {
	request, err := c.findRequest(filter, options)
	if err != nil {
		return nil, err
	}
	request.Explain = sheafv1.ExplainMode(mode)
	return read(ctx, c.client(), func() (Raw, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.client().documents.Find(ctx, request)
		if err != nil {
			return nil, err
		}
		message, err := stream.Recv()
		return message.GetExplanation(), err
	})
}
