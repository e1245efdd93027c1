package sheaf

import (
	"context"

	"google.golang.org/grpc/codes"

	sheafv1 "github.com/sheafdb/sheafdb/clients/go/internal/gen/sheaf/v1"
)

// Collection is a named collection whose documents are read and written as T. It may be used by many goroutines at
// once.
type Collection[T any] struct {
	database *Database
	name     string
}

// C names a collection. Nothing is sent; the first insert creates it. Use Raw or D for T where the documents have no
// common shape.
func C[T any](database *Database, name string) *Collection[T] {
	return &Collection[T]{database: database, name: name}
}

// Name returns the name.
func (c *Collection[T]) Name() string { return c.name }

// Database returns the database.
func (c *Collection[T]) Database() *Database { return c.database }

func (c *Collection[T]) client() *Client { return c.database.client }

// Drop drops the collection with its indexes. One that does not exist is dropped already.
func (c *Collection[T]) Drop(ctx context.Context) error {
	_, err := c.client().catalog.DropCollection(ctx, &sheafv1.DropCollectionRequest{
		Database: c.database.name, Collection: c.name,
	})
	return fromStatus(err)
}

// Get returns the document with this _id. ErrNotFound if there is none.
func (c *Collection[T]) Get(ctx context.Context, id any) (T, error) {
	var document T
	key, err := keyDocument(id)
	if err != nil {
		return document, err
	}
	answer, err := read(ctx, c.client(), func() (*sheafv1.GetResponse, error) {
		return c.client().documents.Get(ctx, &sheafv1.GetRequest{
			Database: c.database.name, Collection: c.name, Key: key,
		})
	})
	if err != nil {
		return document, err
	}
	err = decode(answer.GetDocument(), &document)
	return document, err
}

// ReadOptions are options of everything that reads.
type ReadOptions struct {
	// Hint is the index to use: its name, or its key as a document.
	Hint any
	// Collation is how strings compare, such as D{{"locale", "en"}}.
	Collation any
	// Variables are read as $$name by expressions.
	Variables any
}

func (o ReadOptions) encode() (*sheafv1.ReadOptions, error) {
	hint, err := encodeHint(o.Hint)
	if err != nil {
		return nil, err
	}
	collation, err := encode("the collation", o.Collation)
	if err != nil {
		return nil, err
	}
	variables, err := encode("the variables", o.Variables)
	if err != nil {
		return nil, err
	}
	return &sheafv1.ReadOptions{Hint: hint, Collation: collation, Variables: variables}, nil
}

// encodeHint writes the name of an index as {"$hint": name}, and a key as it is.
func encodeHint(hint any) (Raw, error) {
	if name, ok := hint.(string); ok {
		hint = D{{Key: "$hint", Value: name}}
	}
	return encode("the hint", hint)
}

// CountOptions are options of Count.
type CountOptions struct {
	ReadOptions
	// Skip is the number of documents to pass over.
	Skip int64
	// Limit is the number of documents to count at most; 0 means all.
	Limit int64
}

// Count counts the documents that match a filter; nil matches all.
func (c *Collection[T]) Count(ctx context.Context, filter any, options ...CountOptions) (int64, error) {
	chosen, err := only(options)
	if err != nil {
		return 0, err
	}
	encoded, err := encode("the filter", filter)
	if err != nil {
		return 0, err
	}
	readOptions, err := chosen.ReadOptions.encode()
	if err != nil {
		return 0, err
	}
	answer, err := read(ctx, c.client(), func() (*sheafv1.CountResponse, error) {
		return c.client().documents.Count(ctx, &sheafv1.CountRequest{
			Database: c.database.name, Collection: c.name, Filter: encoded,
			Skip: chosen.Skip, Limit: chosen.Limit, Read: readOptions,
		})
	})
	return answer.GetCount(), err
}

// Distinct returns the distinct values of a field among the documents that match a filter.
func (c *Collection[T]) Distinct(
	ctx context.Context, field string, filter any, options ...ReadOptions,
) ([]any, error) {
	chosen, err := only(options)
	if err != nil {
		return nil, err
	}
	encoded, err := encode("the filter", filter)
	if err != nil {
		return nil, err
	}
	readOptions, err := chosen.encode()
	if err != nil {
		return nil, err
	}
	answer, err := read(ctx, c.client(), func() (*sheafv1.DistinctResponse, error) {
		return c.client().documents.Distinct(ctx, &sheafv1.DistinctRequest{
			Database: c.database.name, Collection: c.name, Field: field, Filter: encoded, Read: readOptions,
		})
	})
	if err != nil {
		return nil, err
	}
	var holder struct {
		Values []any `bson:"values"`
	}
	if err := decode(answer.GetValues(), &holder); err != nil {
		return nil, err
	}
	return holder.Values, nil
}

// Stats are figures of a collection.
type Stats struct {
	// Documents is their number.
	Documents int64
	// DocumentBytes is their size.
	DocumentBytes int64
	// Indexes is the number of indexes, that on _id included.
	Indexes int64
}

// Stats returns figures of the collection.
func (c *Collection[T]) Stats(ctx context.Context) (Stats, error) {
	answer, err := read(ctx, c.client(), func() (*sheafv1.GetCollectionStatsResponse, error) {
		return c.client().catalog.GetCollectionStats(ctx, &sheafv1.GetCollectionStatsRequest{
			Database: c.database.name, Collection: c.name,
		})
	})
	return Stats{
		Documents: answer.GetDocuments(), DocumentBytes: answer.GetDocumentBytes(), Indexes: answer.GetIndexes(),
	}, err
}

// only returns the one set of options, or the default.
func only[O any](options []O) (O, error) {
	var chosen O
	switch len(options) {
	case 0:
	case 1:
		chosen = options[0]
	default:
		return chosen, invalid("options may be given once", nil)
	}
	return chosen, nil
}

func notFound(message string) *Error {
	return &Error{Code: codes.NotFound, Reason: "DOCUMENT_NOT_FOUND", Message: message}
}
