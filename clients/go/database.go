package sheaf

import (
	"context"

	sheafv1 "github.com/sheafdb/sheafdb/clients/go/internal/gen/sheaf/v1"
)

// Database is a named database of a client.
type Database struct {
	client *Client
	name   string
}

// DatabaseInfo describes a database.
type DatabaseInfo struct {
	// Name is its name.
	Name string
	// SizeBytes is the size of its documents and index entries, estimated.
	SizeBytes int64
	// Empty says that it holds no collection.
	Empty bool
}

// CollectionInfo describes a collection.
type CollectionInfo struct {
	// Name is its name.
	Name string
	// Kind is "collection" or "view".
	Kind string
	// Options are what it was created with.
	Options Raw
}

// Name returns the name.
func (d *Database) Name() string { return d.name }

// Client returns the client.
func (d *Database) Client() *Client { return d.client }

// Drop drops the database with everything in it. One that does not exist is dropped already.
func (d *Database) Drop(ctx context.Context) error {
	_, err := d.client.catalog.DropDatabase(ctx, &sheafv1.DropDatabaseRequest{Database: d.name})
	return fromStatus(err)
}

// ListCollections returns the collections, by name.
func (d *Database) ListCollections(ctx context.Context) ([]CollectionInfo, error) {
	answer, err := read(ctx, d.client, func() (*sheafv1.ListCollectionsResponse, error) {
		return d.client.catalog.ListCollections(ctx, &sheafv1.ListCollectionsRequest{Database: d.name})
	})
	if err != nil {
		return nil, err
	}
	collections := make([]CollectionInfo, 0, len(answer.GetCollections()))
	for _, info := range answer.GetCollections() {
		collections = append(collections, CollectionInfo{
			Name: info.GetName(), Kind: info.GetKind(), Options: info.GetOptions(),
		})
	}
	return collections, nil
}

// CreateCollection creates a collection. options is what the create command takes beside the name, nil for none. A
// collection needs no creation unless it has options: the first insert creates it.
func (d *Database) CreateCollection(ctx context.Context, name string, options any) error {
	encoded, err := encode("the options", options)
	if err != nil {
		return err
	}
	_, err = d.client.catalog.CreateCollection(ctx, &sheafv1.CreateCollectionRequest{
		Database: d.name, Collection: name, Options: encoded,
	})
	return fromStatus(err)
}
