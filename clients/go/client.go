package sheaf

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	sheafv1 "github.com/sheafdb/sheafdb/clients/go/internal/gen/sheaf/v1"
)

const (
	// The server's batches are small; one document with its framing must always fit.
	receiveBytesMax = 64 << 20
	// What the server accepts.
	sendBytesMax = 48 << 20
	// Quiet connections are probed while a call is open, so that a dead one is noticed.
	keepaliveInterval, keepaliveTimeout = 30 * time.Second, 10 * time.Second

	defaultRetryTimeout = 15 * time.Second
)

// Client is a connection to a server. It may be used by many goroutines at once.
type Client struct {
	connection   *grpc.ClientConn
	documents    sheafv1.DocumentServiceClient
	catalog      sheafv1.CatalogServiceClient
	health       healthv1.HealthClient
	retryTimeout time.Duration
}

type settings struct {
	credentials  credentials.TransportCredentials
	retryTimeout time.Duration
	dial         []grpc.DialOption
}

// Option changes how a client connects.
type Option func(*settings)

// WithTransportCredentials secures the connection, with TLS for instance. Without it nothing is encrypted.
func WithTransportCredentials(credentials credentials.TransportCredentials) Option {
	return func(settings *settings) { settings.credentials = credentials }
}

// WithRetryTimeout sets how long reads are tried again, and broken streams resumed, while the server is unavailable;
// 15 seconds unless set. Zero or less means never.
func WithRetryTimeout(timeout time.Duration) Option {
	return func(settings *settings) { settings.retryTimeout = timeout }
}

// WithDialOptions adds options of gRPC: interceptors for instance.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(settings *settings) { settings.dial = append(settings.dial, options...) }
}

// Connect prepares a client for the server at uri, "sheaf://host:port". It connects when the first operation needs
// it; Ping tells whether the server is there.
func Connect(uri string, options ...Option) (*Client, error) {
	target, err := targetOf(uri)
	if err != nil {
		return nil, err
	}
	settings := settings{credentials: insecure.NewCredentials(), retryTimeout: defaultRetryTimeout}
	for _, option := range options {
		option(&settings)
	}
	dial := append([]grpc.DialOption{
		grpc.WithTransportCredentials(settings.credentials),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(receiveBytesMax), grpc.MaxCallSendMsgSize(sendBytesMax)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveInterval, Timeout: keepaliveTimeout}),
		// A server that restarts is back within a second; gRPC's own first pause would be that long.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
	}, settings.dial...)
	connection, err := grpc.NewClient(target, dial...)
	if err != nil {
		return nil, invalid(fmt.Sprintf("the address %q cannot be used: %v", uri, err), err)
	}
	return &Client{
		connection:   connection,
		documents:    sheafv1.NewDocumentServiceClient(connection),
		catalog:      sheafv1.NewCatalogServiceClient(connection),
		health:       healthv1.NewHealthClient(connection),
		retryTimeout: settings.retryTimeout,
	}, nil
}

// Close ends the connection. Operations under way fail.
func (c *Client) Close() error {
	return fromStatus(c.connection.Close())
}

// Ping asks the server whether it serves. ErrUnavailable if it cannot be reached or is going down.
func (c *Client) Ping(ctx context.Context) error {
	answer, err := c.health.Check(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		return fromStatus(err)
	}
	if answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		return unavailable(fmt.Sprintf("the server says %s", answer.GetStatus()))
	}
	return nil
}

// Database names a database. Nothing is sent; the first insert creates it.
func (c *Client) Database(name string) *Database {
	return &Database{client: c, name: name}
}

// ListDatabases returns the databases, by name.
func (c *Client) ListDatabases(ctx context.Context) ([]DatabaseInfo, error) {
	answer, err := read(ctx, c, func() (*sheafv1.ListDatabasesResponse, error) {
		return c.catalog.ListDatabases(ctx, &sheafv1.ListDatabasesRequest{})
	})
	if err != nil {
		return nil, err
	}
	databases := make([]DatabaseInfo, 0, len(answer.GetDatabases()))
	for _, info := range answer.GetDatabases() {
		databases = append(databases, DatabaseInfo{
			Name: info.GetName(), SizeBytes: info.GetSizeBytes(), Empty: info.GetEmpty(),
		})
	}
	return databases, nil
}
