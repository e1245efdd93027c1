package sheaf

import (
	"context"
	"errors"
	"fmt"

	sheafv1 "github.com/sheafdb/sheafdb/clients/go/internal/gen/sheaf/v1"
)

// Durability says when a write is acknowledged.
type Durability int32

// When a write is acknowledged.
const (
	// DurabilityDefault leaves it to the server, which syncs unless it was started otherwise.
	DurabilityDefault Durability = iota
	// DurabilitySynced waits until the write is on disk.
	DurabilitySynced
	// DurabilityWritten waits until the operating system has the write.
	DurabilityWritten
)

const (
	// A message holds writes until it would pass these; the server takes 48 MiB and 100,000 writes.
	messageBytesMax  = 16 << 20
	messageWritesMax = 10_000
	// What a write costs beside its documents, more than enough.
	writeBytesOverhead = 64
)

// WriteOptions are options of everything that writes.
type WriteOptions struct {
	// Durability says when the write is acknowledged.
	Durability Durability
	// Unordered goes on after a write that failed. Only for many writes.
	Unordered bool
	// BypassValidation writes documents that the collection's validator would refuse.
	BypassValidation bool
	// Variables are read as $$name by expressions.
	Variables any
}

// UpdateOptions are options of UpdateOne, UpdateMany and ReplaceOne.
type UpdateOptions struct {
	WriteOptions
	// Upsert inserts a document if none matches.
	Upsert bool
	// ArrayFilters pick the array elements that $[name] stands for. Not for ReplaceOne.
	ArrayFilters []any
	// Hint is the index to use: its name, or its key as a document.
	Hint any
	// Collation is how strings compare.
	Collation any
}

// DeleteOptions are options of DeleteOne and DeleteMany.
type DeleteOptions struct {
	WriteOptions
	// Hint is the index to use: its name, or its key as a document.
	Hint any
	// Collation is how strings compare.
	Collation any
}

// UpdateResult says what an update did.
type UpdateResult struct {
	// Matched is the number of documents that the filter matched.
	Matched int64
	// Modified is the number of documents that are different now.
	Modified int64
	// UpsertedID is the _id of the document that an upsert inserted; nil if it inserted none.
	UpsertedID any
}

// InsertOne inserts a document and returns its _id, which is made here if the document has none.
func (c *Collection[T]) InsertOne(ctx context.Context, document T, options ...WriteOptions) (any, error) {
	ids, err := c.InsertMany(ctx, []T{document}, options...)
	if err != nil {
		return nil, alone(err)
	}
	return ids[0], nil
}

// InsertMany inserts documents and returns their _ids, by position. If some fail the error is a *BulkError; the _ids
// of those that were not inserted are nil then.
func (c *Collection[T]) InsertMany(ctx context.Context, documents []T, options ...WriteOptions) ([]any, error) {
	chosen, err := only(options)
	if err != nil {
		return nil, err
	}
	ids := make([]any, len(documents))
	writes := make([]*sheafv1.WriteOperation, len(documents))
	for index, document := range documents {
		encoded, err := encode(fmt.Sprintf("document %d", index), document)
		if err != nil {
			return nil, err
		}
		encoded, id, err := withID(encoded)
		if err != nil {
			return nil, err
		}
		ids[index] = id
		writes[index] = &sheafv1.WriteOperation{Operation: &sheafv1.WriteOperation_Insert{
			Insert: &sheafv1.InsertOperation{Document: encoded},
		}}
	}
	results, err := c.write(ctx, writes, chosen)
	for index := range ids {
		if index >= len(results) || results[index].GetInsert() == nil {
			ids[index] = nil
		}
	}
	return ids, err
}

// UpdateOne changes the first document that matches a filter. update is a document of update operators, or a slice of
// pipeline stages.
func (c *Collection[T]) UpdateOne(
	ctx context.Context, filter, update any, options ...UpdateOptions,
) (UpdateResult, error) {
	return c.update(ctx, filter, update, false, options)
}

// UpdateMany changes every document that matches a filter.
func (c *Collection[T]) UpdateMany(
	ctx context.Context, filter, update any, options ...UpdateOptions,
) (UpdateResult, error) {
	return c.update(ctx, filter, update, true, options)
}

func (c *Collection[T]) update(
	ctx context.Context, filter, update any, multi bool, options []UpdateOptions,
) (UpdateResult, error) {
	chosen, err := only(options)
	if err != nil {
		return UpdateResult{}, err
	}
	operation := &sheafv1.UpdateOperation{Multi: multi, Upsert: chosen.Upsert}
	if operation.Filter, err = encode("the filter", filter); err != nil {
		return UpdateResult{}, err
	}
	if operation.ArrayFilters, err = encodeAll("array filter", chosen.ArrayFilters); err != nil {
		return UpdateResult{}, err
	}
	if operation.Hint, err = encodeHint(chosen.Hint); err != nil {
		return UpdateResult{}, err
	}
	if operation.Collation, err = encode("the collation", chosen.Collation); err != nil {
		return UpdateResult{}, err
	}
	switch update := update.(type) {
	case []D, []M, A:
		pipeline, err := encode("the update", D{{Key: "pipeline", Value: update}})
		if err != nil {
			return UpdateResult{}, err
		}
		operation.Change = &sheafv1.UpdateOperation_Pipeline{Pipeline: pipeline}
	default:
		encoded, err := encode("the update", update)
		if err != nil {
			return UpdateResult{}, err
		}
		operation.Change = &sheafv1.UpdateOperation_Update{Update: encoded}
	}
	return c.updateResult(ctx, &sheafv1.WriteOperation{
		Operation: &sheafv1.WriteOperation_Update{Update: operation},
	}, chosen.WriteOptions)
}

// ReplaceOne replaces the first document that matches a filter. The _id stays.
func (c *Collection[T]) ReplaceOne(
	ctx context.Context, filter any, replacement T, options ...UpdateOptions,
) (UpdateResult, error) {
	chosen, err := only(options)
	if err != nil {
		return UpdateResult{}, err
	}
	if len(chosen.ArrayFilters) > 0 {
		return UpdateResult{}, invalid("a replacement has no array filters", nil)
	}
	operation := &sheafv1.ReplaceOperation{Upsert: chosen.Upsert}
	if operation.Filter, err = encode("the filter", filter); err != nil {
		return UpdateResult{}, err
	}
	if operation.Replacement, err = encode("the replacement", replacement); err != nil {
		return UpdateResult{}, err
	}
	if operation.Hint, err = encodeHint(chosen.Hint); err != nil {
		return UpdateResult{}, err
	}
	if operation.Collation, err = encode("the collation", chosen.Collation); err != nil {
		return UpdateResult{}, err
	}
	return c.updateResult(ctx, &sheafv1.WriteOperation{
		Operation: &sheafv1.WriteOperation_Replace{Replace: operation},
	}, chosen.WriteOptions)
}

func (c *Collection[T]) updateResult(
	ctx context.Context, write *sheafv1.WriteOperation, options WriteOptions,
) (UpdateResult, error) {
	results, err := c.write(ctx, []*sheafv1.WriteOperation{write}, options)
	if err != nil {
		return UpdateResult{}, alone(err)
	}
	update := results[0].GetUpdate()
	result := UpdateResult{Matched: update.GetMatched(), Modified: update.GetModified()}
	if key := update.GetUpsertedKey(); len(key) > 0 {
		result.UpsertedID, err = idOf(key)
	}
	return result, err
}

// DeleteOne deletes the first document that matches a filter and returns how many that was, 0 or 1.
func (c *Collection[T]) DeleteOne(ctx context.Context, filter any, options ...DeleteOptions) (int64, error) {
	return c.delete(ctx, filter, false, options)
}

// DeleteMany deletes every document that matches a filter and returns how many that were.
func (c *Collection[T]) DeleteMany(ctx context.Context, filter any, options ...DeleteOptions) (int64, error) {
	return c.delete(ctx, filter, true, options)
}

func (c *Collection[T]) delete(
	ctx context.Context, filter any, multi bool, options []DeleteOptions,
) (int64, error) {
	chosen, err := only(options)
	if err != nil {
		return 0, err
	}
	operation := &sheafv1.DeleteOperation{Multi: multi}
	if operation.Filter, err = encode("the filter", filter); err != nil {
		return 0, err
	}
	if operation.Hint, err = encodeHint(chosen.Hint); err != nil {
		return 0, err
	}
	if operation.Collation, err = encode("the collation", chosen.Collation); err != nil {
		return 0, err
	}
	results, err := c.write(ctx, []*sheafv1.WriteOperation{{
		Operation: &sheafv1.WriteOperation_Delete{Delete: operation},
	}}, chosen.WriteOptions)
	if err != nil {
		return 0, alone(err)
	}
	return results[0].GetDelete().GetDeleted(), nil
}

// write sends writes, in as many messages as they need, and returns the results of those that were sent.
func (c *Collection[T]) write(
	ctx context.Context, writes []*sheafv1.WriteOperation, options WriteOptions,
) ([]*sheafv1.WriteResult, error) {
	variables, err := encode("the variables", options.Variables)
	if err != nil {
		return nil, err
	}
	results := make([]*sheafv1.WriteResult, 0, len(writes))
	bulk := &BulkError{}
	for rest := writes; len(rest) > 0; {
		if len(bulk.Failed) > 0 && !options.Unordered {
			bulk.Untried += len(rest)
			break
		}
		count := messageLength(rest)
		answer, err := c.client().documents.Write(ctx, &sheafv1.WriteRequest{
			Database: c.database.name, Collection: c.name, Operations: rest[:count],
			Unordered: options.Unordered, Durability: sheafv1.Durability(options.Durability),
			BypassDocumentValidation: options.BypassValidation, Variables: variables,
		})
		if err != nil {
			return results, fromStatus(err)
		}
		if len(answer.GetResults()) != count {
			return results, unavailable(fmt.Sprintf("the server answered %d of %d writes", len(answer.GetResults()), count))
		}
		bulk.collect(answer.GetResults(), len(results))
		results = append(results, answer.GetResults()...)
		rest = rest[count:]
	}
	if len(bulk.Failed) > 0 {
		return results, bulk
	}
	return results, nil
}

// messageLength is the number of writes that go into one message: at least one.
func messageLength(writes []*sheafv1.WriteOperation) int {
	size := 0
	for index, write := range writes {
		size += writeBytesOverhead + len(write.GetInsert().GetDocument())
		if index > 0 && (size > messageBytesMax || index == messageWritesMax) {
			return index
		}
	}
	return len(writes)
}

// collect notes the failures among results, the first of which belongs to write number first.
func (e *BulkError) collect(results []*sheafv1.WriteResult, first int) {
	for index, result := range results {
		switch outcome := result.GetOutcome().(type) {
		case *sheafv1.WriteResult_Error:
			e.Failed = append(e.Failed, FailedWrite{Index: first + index, Err: fromWriteError(outcome.Error)})
		case nil:
			e.Untried++
		}
	}
}

// alone turns the failure of a single write among many into that of the one there was.
func alone(err error) error {
	var bulk *BulkError
	if errors.As(err, &bulk) && len(bulk.Failed) == 1 {
		return bulk.Failed[0].Err
	}
	return err
}
