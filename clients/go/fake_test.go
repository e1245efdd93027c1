package sheaf

import (
	"net"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sheafv1 "github.com/sheafdb/sheafdb/clients/go/internal/gen/sheaf/v1"
)

// fakeDocuments is a server whose answers a test writes: for what a real one does only when something breaks.
type fakeDocuments struct {
	sheafv1.UnimplementedDocumentServiceServer
	find func(*sheafv1.FindRequest, grpc.ServerStreamingServer[sheafv1.FindResponse]) error
}

func (f *fakeDocuments) Find(
	request *sheafv1.FindRequest, stream grpc.ServerStreamingServer[sheafv1.FindResponse],
) error {
	return f.find(request, stream)
}

// connectFake starts a fake server and a client for it.
func connectFake(t *testing.T, fake *fakeDocuments, options ...Option) *Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	sheafv1.RegisterDocumentServiceServer(server, fake)
	go func() {
		if err := server.Serve(listener); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(server.Stop)
	options = append([]Option{WithRetryTimeout(5 * time.Second)}, options...)
	client, err := Connect("sheaf://"+listener.Addr().String(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// failure is what the server fails a call with.
func failure(t *testing.T, code codes.Code, reason string) error {
	t.Helper()
	failed, err := status.New(code, "because").WithDetails(&errdetails.ErrorInfo{
		Reason: reason, Domain: "sheafdb.dev", Metadata: map[string]string{"code": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return failed.Err()
}
