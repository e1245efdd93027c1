package sheaf

import (
	"errors"
	"testing"

	"google.golang.org/grpc/codes"

	sheafv1 "github.com/sheafdb/sheafdb/clients/go/internal/gen/sheaf/v1"
)

func TestSentinelsFollowCodeAndReason(t *testing.T) {
	sentinels := []error{ErrNotFound, ErrDuplicateKey, ErrConflict, ErrInvalid, ErrUnavailable, ErrTimeout}
	for _, test := range []struct {
		code   codes.Code
		reason string
		want   error
	}{
		{codes.NotFound, "DOCUMENT_NOT_FOUND", ErrNotFound},
		{codes.AlreadyExists, "DUPLICATE_KEY", ErrDuplicateKey},
		{codes.AlreadyExists, "NAMESPACE_EXISTS", nil},
		{codes.Aborted, "WRITE_CONFLICT", ErrConflict},
		{codes.InvalidArgument, "BAD_VALUE", ErrInvalid},
		{codes.Unavailable, "", ErrUnavailable},
		{codes.DeadlineExceeded, "", ErrTimeout},
		{codes.Internal, "INTERNAL", nil},
	} {
		err := fromStatus(failure(t, test.code, test.reason))
		for _, sentinel := range sentinels {
			if errors.Is(err, sentinel) != (sentinel == test.want) {
				t.Errorf("%v: errors.Is(%v) is %v", err, sentinel, errors.Is(err, sentinel))
			}
		}
	}
	if fromStatus(nil) != nil {
		t.Error("no failure became one")
	}
}

func TestABulkErrorIsEachOfItsFailures(t *testing.T) {
	bulk := &BulkError{}
	bulk.collect([]*sheafv1.WriteResult{
		{Outcome: &sheafv1.WriteResult_Insert{Insert: &sheafv1.InsertResult{}}},
		{Outcome: &sheafv1.WriteResult_Error{Error: &sheafv1.WriteError{
			Code: int32(codes.AlreadyExists), Reason: "DUPLICATE_KEY", Message: "E11000",
		}}},
		{},
	}, 10)
	if len(bulk.Failed) != 1 || bulk.Failed[0].Index != 11 || bulk.Untried != 1 {
		t.Fatal(bulk)
	}
	if !errors.Is(bulk, ErrDuplicateKey) || errors.Is(bulk, ErrConflict) {
		t.Fatal(bulk)
	}
	if !errors.Is(alone(bulk), ErrDuplicateKey) {
		t.Fatal(alone(bulk))
	}
}

func TestWritesAreCutIntoMessages(t *testing.T) {
	insert := func(bytes int) *sheafv1.WriteOperation {
		return &sheafv1.WriteOperation{Operation: &sheafv1.WriteOperation_Insert{
			Insert: &sheafv1.InsertOperation{Document: make([]byte, bytes)},
		}}
	}
	many := make([]*sheafv1.WriteOperation, messageWritesMax+5)
	for index := range many {
		many[index] = insert(10)
	}
	if got := messageLength(many); got != messageWritesMax {
		t.Error(got)
	}
	large := []*sheafv1.WriteOperation{insert(10 << 20), insert(10 << 20), insert(1)}
	if got := messageLength(large); got != 1 {
		t.Error(got)
	}
	if got := messageLength(large[:1]); got != 1 {
		t.Error(got)
	}
}
