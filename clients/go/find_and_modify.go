package sheaf

import (
	"context"

	sheafv1 "github.com/sheafdb/sheafdb/clients/go/internal/gen/sheaf/v1"
)

// FindAndModifyOptions are options of FindOneAndUpdate, FindOneAndReplace and FindOneAndDelete.
type FindAndModifyOptions struct {
	ReadOptions
	// Sort picks the first document in this order if several match.
	Sort any
	// Projection is the fields to return.
	Projection any
	// Upsert inserts a document if none matches. Not for a deletion.
	Upsert bool
	// ReturnNew returns the document as it became instead of as it was. Not for a deletion.
	ReturnNew bool
	// ArrayFilters pick the array elements that $[name] stands for. Only for an update.
	ArrayFilters []any
	// Durability says when the write is acknowledged.
	Durability Durability
	// BypassValidation writes a document that the collection's validator would refuse.
	BypassValidation bool
}

// FindOneAndUpdate changes the first document that matches a filter and returns it, in one atomic step. ErrNotFound
// if none matches.
func (c *Collection[T]) FindOneAndUpdate(
	ctx context.Context, filter, update any, options ...FindAndModifyOptions,
) (T, error) {
	return c.findAndModify(ctx, filter, options, func(request *sheafv1.FindAndModifyRequest) error {
		switch update := update.(type) {
		case []D, []M, A:
			encoded, err := encode("the update", D{{Key: "pipeline", Value: update}})
			request.Change = &sheafv1.FindAndModifyRequest_Pipeline{Pipeline: encoded}
			return err
		default:
			encoded, err := encode("the update", update)
			request.Change = &sheafv1.FindAndModifyRequest_Update{Update: encoded}
			return err
		}
	})
}

// FindOneAndReplace replaces the first document that matches a filter and returns it. ErrNotFound if none matches.
func (c *Collection[T]) FindOneAndReplace(
	ctx context.Context, filter any, replacement T, options ...FindAndModifyOptions,
) (T, error) {
	return c.findAndModify(ctx, filter, options, func(request *sheafv1.FindAndModifyRequest) error {
		encoded, err := encode("the replacement", replacement)
		request.Change = &sheafv1.FindAndModifyRequest_Replacement{Replacement: encoded}
		return err
	})
}

// FindOneAndDelete deletes the first document that matches a filter and returns it. ErrNotFound if none matches.
func (c *Collection[T]) FindOneAndDelete(
	ctx context.Context, filter any, options ...FindAndModifyOptions,
) (T, error) {
	return c.findAndModify(ctx, filter, options, func(request *sheafv1.FindAndModifyRequest) error {
		request.Change = &sheafv1.FindAndModifyRequest_Delete{Delete: true}
		return nil
	})
}

func (c *Collection[T]) findAndModify(
	ctx context.Context, filter any, options []FindAndModifyOptions,
	setChange func(*sheafv1.FindAndModifyRequest) error,
) (T, error) {
	var document T
	chosen, err := only(options)
	if err != nil {
		return document, err
	}
	request := &sheafv1.FindAndModifyRequest{
		Database: c.database.name, Collection: c.name, Upsert: chosen.Upsert, ReturnNew: chosen.ReturnNew,
		Durability: sheafv1.Durability(chosen.Durability), BypassDocumentValidation: chosen.BypassValidation,
	}
	if request.Filter, err = encode("the filter", filter); err != nil {
		return document, err
	}
	if request.Sort, err = encode("the sort", chosen.Sort); err != nil {
		return document, err
	}
	if request.Projection, err = encode("the projection", chosen.Projection); err != nil {
		return document, err
	}
	if request.ArrayFilters, err = encodeAll("array filter", chosen.ArrayFilters); err != nil {
		return document, err
	}
	if request.Read, err = chosen.ReadOptions.encode(); err != nil {
		return document, err
	}
	if err := setChange(request); err != nil {
		return document, err
	}
	answer, err := c.client().documents.FindAndModify(ctx, request)
	if err != nil {
		return document, fromStatus(err)
	}
	if answer.Document == nil {
		return document, notFound("no document of " + c.database.name + "." + c.name + " is there to return")
	}
	err = decode(answer.GetDocument(), &document)
	return document, err
}
