package sheaf

import (
	"context"

	sheafv1 "github.com/sheafdb/sheafdb/clients/go/internal/gen/sheaf/v1"
)

// Index describes an index.
type Index struct {
	// Keys are the fields in their order, such as D{{"city", 1}, {"age", -1}}. Listed indexes have a Raw here.
	Keys any
	// Name is its name; empty lets the server make one, such as "city_1_age_-1".
	Name string
	// Unique refuses a second document with the same key.
	Unique bool
	// Sparse leaves out documents that have none of the fields.
	Sparse bool
	// PartialFilter leaves out documents that do not match it.
	PartialFilter any
	// ExpireAfterSeconds deletes a document this long after the date in the field; nil never does.
	ExpireAfterSeconds *int64
	// Collation is how the strings in the index compare.
	Collation any
	// Hidden keeps the index up to date and lets no query use it.
	Hidden bool
}

func (i Index) encode() (*sheafv1.Index, error) {
	encoded := &sheafv1.Index{
		Name: i.Name, Unique: i.Unique, Sparse: i.Sparse, ExpireAfterSeconds: i.ExpireAfterSeconds, Hidden: i.Hidden,
	}
	var err error
	if encoded.Key, err = encode("the keys of the index", i.Keys); err != nil {
		return nil, err
	}
	if encoded.PartialFilter, err = encode("the filter of the index", i.PartialFilter); err != nil {
		return nil, err
	}
	if encoded.Collation, err = encode("the collation", i.Collation); err != nil {
		return nil, err
	}
	return encoded, nil
}

// CreateIndex creates an index, waits until it is built and returns its name. One that is there already, with the same
// options, is left alone.
func (c *Collection[T]) CreateIndex(ctx context.Context, index Index) (string, error) {
	names, err := c.CreateIndexes(ctx, index)
	if err != nil {
		return "", err
	}
	return names[0], nil
}

// CreateIndexes creates indexes and returns their names.
func (c *Collection[T]) CreateIndexes(ctx context.Context, indexes ...Index) ([]string, error) {
	encoded := make([]*sheafv1.Index, 0, len(indexes))
	for _, index := range indexes {
		one, err := index.encode()
		if err != nil {
			return nil, err
		}
		encoded = append(encoded, one)
	}
	answer, err := c.client().catalog.CreateIndexes(ctx, &sheafv1.CreateIndexesRequest{
		Database: c.database.name, Collection: c.name, Indexes: encoded,
	})
	if err != nil {
		return nil, fromStatus(err)
	}
	if len(answer.GetNames()) != len(indexes) {
		return nil, unavailable("the server did not name every index")
	}
	return answer.GetNames(), nil
}

// ListIndexes returns the indexes, that on _id first. ErrNotFound if the collection does not exist.
func (c *Collection[T]) ListIndexes(ctx context.Context) ([]Index, error) {
	answer, err := read(ctx, c.client(), func() (*sheafv1.ListIndexesResponse, error) {
		return c.client().catalog.ListIndexes(ctx, &sheafv1.ListIndexesRequest{
			Database: c.database.name, Collection: c.name,
		})
	})
	if err != nil {
		return nil, err
	}
	indexes := make([]Index, 0, len(answer.GetIndexes()))
	for _, listed := range answer.GetIndexes() {
		index := Index{
			Keys: Raw(listed.GetKey()), Name: listed.GetName(), Unique: listed.GetUnique(), Sparse: listed.GetSparse(),
			ExpireAfterSeconds: listed.ExpireAfterSeconds, Hidden: listed.GetHidden(),
		}
		if filter := listed.GetPartialFilter(); len(filter) > 0 {
			index.PartialFilter = Raw(filter)
		}
		if collation := listed.GetCollation(); len(collation) > 0 {
			index.Collation = Raw(collation)
		}
		indexes = append(indexes, index)
	}
	return indexes, nil
}

// DropIndexes drops indexes by name. The index on _id cannot be dropped.
func (c *Collection[T]) DropIndexes(ctx context.Context, names ...string) error {
	_, err := c.client().catalog.DropIndexes(ctx, &sheafv1.DropIndexesRequest{
		Database: c.database.name, Collection: c.name, Names: names,
	})
	return fromStatus(err)
}

// DropAllIndexes drops every index but that on _id.
func (c *Collection[T]) DropAllIndexes(ctx context.Context) error {
	_, err := c.client().catalog.DropIndexes(ctx, &sheafv1.DropIndexesRequest{
		Database: c.database.name, Collection: c.name, All: true,
	})
	return fromStatus(err)
}
