package sheaf

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
)

const (
	retryPauseFirst = 20 * time.Millisecond
	retryPauseMax   = time.Second
)

// retries says how often, and for how long, something is tried again.
type retries struct {
	until time.Time
	pause time.Duration
}

func (c *Client) newRetries() retries {
	return retries{until: time.Now().Add(c.retryTimeout), pause: retryPauseFirst}
}

// again reports whether to try again after this error, having waited. It does so only for a server that is
// unavailable, and not past the time or the context.
func (r *retries) again(ctx context.Context, err error) bool {
	if !errors.Is(err, ErrUnavailable) || !time.Now().Add(r.pause).Before(r.until) {
		return false
	}
	timer := time.NewTimer(r.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	r.pause = min(2*r.pause, retryPauseMax)
	return true
}

// read calls something that changes nothing, again while the server is unavailable.
func read[R any](ctx context.Context, c *Client, call func() (R, error)) (R, error) {
	retries := c.newRetries()
	for {
		answer, err := call()
		if err == nil {
			return answer, nil
		}
		if err = fromStatus(err); !retries.again(ctx, err) {
			var none R
			return none, err
		}
	}
}

func unavailable(message string) *Error {
	return &Error{Code: codes.Unavailable, Message: message}
}
