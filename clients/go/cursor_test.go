package sheaf

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sheafv1 "github.com/sheafdb/sheafdb/clients/go/internal/gen/sheaf/v1"
)

type numbered struct {
	N int `bson:"n"`
}

// numbers are batches of documents {n: first}, {n: first + 1}, ...
func numbers(t *testing.T, first, count int) [][]byte {
	t.Helper()
	documents := make([][]byte, 0, count)
	for n := range count {
		document, err := encode("the document", numbered{N: first + n})
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, document)
	}
	return documents
}

func last() *sheafv1.FindResponse_Stats {
	return &sheafv1.FindResponse_Stats{Stats: &sheafv1.StreamStats{}}
}

func values(t *testing.T, cursor *Cursor[numbered]) ([]int, error) {
	t.Helper()
	var got []int
	for document, err := range cursor.Seq() {
		if err != nil {
			return got, err
		}
		got = append(got, document.N)
	}
	return got, nil
}

func findAll(t *testing.T, client *Client) ([]int, error) {
	t.Helper()
	cursor, err := C[numbered](client.Database("d"), "c").Find(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return values(t, cursor)
}

func TestABrokenStreamGoesOnBehindTheLastBatch(t *testing.T) {
	var tokens []string
	fake := &fakeDocuments{}
	fake.find = func(request *sheafv1.FindRequest, stream grpc.ServerStreamingServer[sheafv1.FindResponse]) error {
		tokens = append(tokens, string(request.GetResumeToken()))
		switch string(request.GetResumeToken()) {
		case "":
			if len(tokens) == 1 {
				// Breaks before anything was received.
				return status.Error(codes.Unavailable, "going down")
			}
			if err := stream.Send(&sheafv1.FindResponse{Documents: numbers(t, 0, 3), ResumeToken: []byte("after 2")}); err != nil {
				return err
			}
			return status.Error(codes.Unavailable, "going down")
		case "after 2":
			if err := stream.Send(&sheafv1.FindResponse{Documents: numbers(t, 3, 2), ResumeToken: []byte("after 4")}); err != nil {
				return err
			}
			// Ends without having said so, as a proxy might cut it.
			return nil
		default:
			return stream.Send(&sheafv1.FindResponse{Documents: numbers(t, 5, 1), Final: last()})
		}
	}
	got, err := findAll(t, connectFake(t, fake))
	if err != nil || !slices.Equal(got, []int{0, 1, 2, 3, 4, 5}) {
		t.Fatal(got, err)
	}
	if !slices.Equal(tokens, []string{"", "", "after 2", "after 4"}) {
		t.Fatal(tokens)
	}
}

func TestABrokenStreamWithoutATokenIsAnError(t *testing.T) {
	fake := &fakeDocuments{}
	fake.find = func(_ *sheafv1.FindRequest, stream grpc.ServerStreamingServer[sheafv1.FindResponse]) error {
		if err := stream.Send(&sheafv1.FindResponse{Documents: numbers(t, 0, 3)}); err != nil {
			return err
		}
		return status.Error(codes.Unavailable, "going down")
	}
	got, err := findAll(t, connectFake(t, fake))
	if !errors.Is(err, ErrUnavailable) || !slices.Equal(got, []int{0, 1, 2}) {
		t.Fatal(got, err)
	}
}

func TestAnErrorOtherThanABreakIsNotRetried(t *testing.T) {
	var calls atomic.Int32
	fake := &fakeDocuments{}
	fake.find = func(*sheafv1.FindRequest, grpc.ServerStreamingServer[sheafv1.FindResponse]) error {
		calls.Add(1)
		return failure(t, codes.FailedPrecondition, "SNAPSHOT_TOO_OLD")
	}
	_, err := findAll(t, connectFake(t, fake))
	var failed *Error
	if !errors.As(err, &failed) || failed.Reason != "SNAPSHOT_TOO_OLD" || failed.Code != codes.FailedPrecondition {
		t.Fatal(err)
	}
	if failed.Metadata["code"] != "1" || calls.Load() != 1 {
		t.Fatal(failed.Metadata, calls.Load())
	}
}

func TestAServerThatStaysAwayIsUnavailableAfterTheRetryTime(t *testing.T) {
	client, err := Connect("sheaf://127.0.0.1:1", WithRetryTimeout(200*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	begun := time.Now()
	if _, err := findAll(t, client); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	if _, err := C[D](client.Database("d"), "c").Count(t.Context(), nil); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
	if waited := time.Since(begun); waited > 3*time.Second {
		t.Fatal(waited)
	}
}

func TestAContextEndsACursor(t *testing.T) {
	fake := &fakeDocuments{}
	fake.find = func(_ *sheafv1.FindRequest, stream grpc.ServerStreamingServer[sheafv1.FindResponse]) error {
		if err := stream.Send(&sheafv1.FindResponse{Documents: numbers(t, 0, 1), ResumeToken: []byte("x")}); err != nil {
			return err
		}
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	client := connectFake(t, fake)
	collection := C[numbered](client.Database("d"), "c")

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	cursor, err := collection.Find(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := values(t, cursor)
	if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || len(got) != 1 {
		t.Fatal(got, err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	cursor, err = collection.Find(ctx, nil)
	if err != nil || !cursor.Next() {
		t.Fatal(err, cursor.Err())
	}
	cancel()
	if cursor.Next() || !errors.Is(cursor.Err(), context.Canceled) {
		t.Fatal(cursor.Err())
	}
}

func TestAClosedCursorIsEmptyAndHasNoError(t *testing.T) {
	fake := &fakeDocuments{}
	fake.find = func(_ *sheafv1.FindRequest, stream grpc.ServerStreamingServer[sheafv1.FindResponse]) error {
		return stream.Send(&sheafv1.FindResponse{Documents: numbers(t, 0, 5), Final: last()})
	}
	cursor, err := C[numbered](connectFake(t, fake).Database("d"), "c").Find(t.Context(), nil)
	if err != nil || !cursor.Next() {
		t.Fatal(err)
	}
	cursor.Close()
	cursor.Close()
	if cursor.Next() || cursor.Err() != nil {
		t.Fatal(cursor.Err())
	}
	if _, err := cursor.Decode(); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
}
