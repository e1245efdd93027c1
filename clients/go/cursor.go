package sheaf

import (
	"context"
	"errors"
	"io"
	"iter"
)

// batch is one message of a stream of documents.
type batch struct {
	documents [][]byte
	// token resumes behind this batch; empty if the stream cannot be resumed there.
	token []byte
	// last says that the stream is complete.
	last bool
}

// receive waits for the next message of a stream.
type receive func() (batch, error)

// open starts a stream, behind the batch that token came with if it is not empty.
type open func(ctx context.Context, token []byte) (receive, error)

// Cursor walks over documents as they arrive. It must not be used by two goroutines at once.
//
// If the connection breaks, the cursor goes on behind the last batch it received, on a new connection, where the
// server can resume the query; no document is seen twice and none is left out, because the resumed stream reads the
// same snapshot. Otherwise the break is an error.
type Cursor[T any] struct {
	ctx     context.Context
	cancel  context.CancelFunc
	client  *Client
	open    open
	receive receive

	documents [][]byte
	current   Raw
	token     []byte
	// started says that a batch was received: from then on only a token can resume.
	started bool
	done    bool
	err     error
}

func newCursor[T any](ctx context.Context, client *Client, open open) *Cursor[T] {
	ctx, cancel := context.WithCancel(ctx)
	return &Cursor[T]{ctx: ctx, cancel: cancel, client: client, open: open}
}

// Next moves to the next document. It returns false at the end and on failure; Err tells which.
func (c *Cursor[T]) Next() bool {
	for len(c.documents) == 0 {
		if c.done {
			c.current = nil
			return false
		}
		c.nextBatch()
	}
	c.current, c.documents = c.documents[0], c.documents[1:]
	return true
}

func (c *Cursor[T]) nextBatch() {
	retries := c.client.newRetries()
	for {
		err := c.tryNextBatch()
		if err == nil {
			return
		}
		c.receive = nil
		resumable := !c.started || len(c.token) > 0
		if !resumable || !retries.again(c.ctx, err) {
			c.finish(err)
			return
		}
	}
}

func (c *Cursor[T]) tryNextBatch() error {
	if c.receive == nil {
		receive, err := c.open(c.ctx, c.token)
		if err != nil {
			return fromStatus(err)
		}
		c.receive = receive
	}
	batch, err := c.receive()
	if errors.Is(err, io.EOF) {
		// The server says so when it is done; a stream that just ends was cut off by something between.
		return unavailable("the stream ended before the server said it was complete")
	}
	if err != nil {
		return fromStatus(err)
	}
	c.documents, c.token, c.started = batch.documents, batch.token, true
	if batch.last {
		c.finish(nil)
	}
	return nil
}

func (c *Cursor[T]) finish(err error) {
	c.done, c.receive = true, nil
	if c.err == nil {
		c.err = err
	}
	c.cancel()
}

// Decode returns the document that Next moved to.
func (c *Cursor[T]) Decode() (T, error) {
	var document T
	if c.current == nil {
		return document, invalid("there is no current document; Next was not called or returned false", nil)
	}
	err := decode(c.current, &document)
	return document, err
}

// Current returns the document that Next moved to as it arrived. It must not be changed.
func (c *Cursor[T]) Current() Raw { return c.current }

// Err returns what ended the cursor early; nil if nothing did.
func (c *Cursor[T]) Err() error { return c.err }

// Close ends the cursor. Closing twice does nothing.
func (c *Cursor[T]) Close() {
	c.documents, c.current = nil, nil
	c.finish(nil)
}

// All returns the remaining documents and closes the cursor.
func (c *Cursor[T]) All() ([]T, error) {
	defer c.Close()
	all := []T{}
	for c.Next() {
		document, err := c.Decode()
		if err != nil {
			return nil, err
		}
		all = append(all, document)
	}
	return all, c.Err()
}

// Seq ranges over the remaining documents and closes the cursor. What ends it early comes as the last pair's error.
func (c *Cursor[T]) Seq() iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		defer c.Close()
		for c.Next() {
			document, err := c.Decode()
			if !yield(document, err) || err != nil {
				return
			}
		}
		if err := c.Err(); err != nil {
			var none T
			yield(none, err)
		}
	}
}
