package sheaf

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sheafv1 "github.com/sheafdb/sheafdb/clients/go/internal/gen/sheaf/v1"
)

// What errors.Is compares an error to.
var (
	// ErrNotFound says that the document, collection or index does not exist.
	ErrNotFound = errors.New("sheaf: not found")
	// ErrDuplicateKey says that a unique index holds the key already.
	ErrDuplicateKey = errors.New("sheaf: duplicate key")
	// ErrConflict says that the operation lost against another one and may be tried again.
	ErrConflict = errors.New("sheaf: conflict")
	// ErrInvalid says that the request is wrong and will stay wrong.
	ErrInvalid = errors.New("sheaf: invalid request")
	// ErrUnavailable says that the server could not be reached, or is going down. A write that fails with it may have
	// been done.
	ErrUnavailable = errors.New("sheaf: unavailable")
	// ErrTimeout says that the deadline passed. A write that fails with it may have been done.
	ErrTimeout = errors.New("sheaf: deadline exceeded")
)

const reasonDuplicateKey = "DUPLICATE_KEY"

// Error is what an operation fails with.
type Error struct {
	// Code is the canonical gRPC code.
	Code codes.Code
	// Reason is the server's word for what happened, such as "DUPLICATE_KEY". Empty if the failure is not the
	// server's, a lost connection for instance.
	Reason string
	// Message is for people.
	Message string
	// Metadata says more by machine: "code" is the number that MongoDB's drivers know.
	Metadata map[string]string
	// Details is what else the server said, a document; nil if nothing. A duplicate key has keyPattern and keyValue.
	Details Raw

	cause error
}

// Error describes the failure in one line.
func (e *Error) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("sheaf: %s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("sheaf: %s: %s", e.Reason, e.Message)
}

// Unwrap returns the error behind this one, if there is one.
func (e *Error) Unwrap() error { return e.cause }

// Is compares the error to the Err values of this package.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Code == codes.NotFound
	case ErrDuplicateKey:
		return e.Reason == reasonDuplicateKey
	case ErrConflict:
		return e.Code == codes.Aborted
	case ErrInvalid:
		return e.Code == codes.InvalidArgument
	case ErrUnavailable:
		return e.Code == codes.Unavailable
	case ErrTimeout:
		return e.Code == codes.DeadlineExceeded
	}
	return false
}

// invalid is an error that needs no server to be found.
func invalid(message string, cause error) *Error {
	return &Error{Code: codes.InvalidArgument, Reason: "CLIENT_INVALID", Message: message, cause: cause}
}

// fromStatus turns what a call returned into an *Error; nil stays nil.
func fromStatus(err error) error {
	if err == nil {
		return nil
	}
	var already *Error
	if errors.As(err, &already) {
		return err
	}
	converted := status.Convert(err)
	result := &Error{Code: converted.Code(), Message: converted.Message(), cause: err}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		result.Code = codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		result.Code = codes.Canceled
	}
	switch result.Code {
	case codes.DeadlineExceeded:
		result.cause = context.DeadlineExceeded
	case codes.Canceled:
		result.cause = context.Canceled
	}
	for _, detail := range converted.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			result.Reason, result.Metadata = info.GetReason(), info.GetMetadata()
		}
	}
	return result
}

// fromWriteError turns the outcome of one write into an *Error.
func fromWriteError(failed *sheafv1.WriteError) *Error {
	return &Error{
		Code:     codes.Code(failed.GetCode()),
		Reason:   failed.GetReason(),
		Message:  failed.GetMessage(),
		Metadata: failed.GetMetadata(),
		Details:  failed.GetDetails(),
	}
}

// FailedWrite is one write of many that failed.
type FailedWrite struct {
	// Index is its position among the writes.
	Index int
	// Err says why.
	Err *Error
}

// BulkError says which writes of many failed. errors.Is and errors.As look into every one of them.
type BulkError struct {
	// Failed are the writes that failed, by position.
	Failed []FailedWrite
	// Untried is the number of writes that were not tried because an earlier one failed.
	Untried int
}

// Error describes the first failure.
func (e *BulkError) Error() string {
	if len(e.Failed) == 0 {
		return fmt.Sprintf("sheaf: %d writes were not tried", e.Untried)
	}
	first := e.Failed[0]
	return fmt.Sprintf("sheaf: %d writes failed, %d were not tried; write %d: %v",
		len(e.Failed), e.Untried, first.Index, first.Err)
}

// Unwrap returns the failures.
func (e *BulkError) Unwrap() []error {
	failures := make([]error, 0, len(e.Failed))
	for _, failed := range e.Failed {
		failures = append(failures, failed.Err)
	}
	return failures
}
