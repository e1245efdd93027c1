// Package sheafd starts real servers for tests.
package sheafd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// Server is a running sheafd.
type Server struct {
	// URI is where it is served.
	URI string
	// HTTP is its address for health and metrics.
	HTTP string

	command *exec.Cmd
}

// Binary is the server's program: $SHEAFD, or what `cargo build` leaves.
func Binary() (string, error) {
	if path := os.Getenv("SHEAFD"); path != "" {
		return path, nil
	}
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("the path of this file is unknown; set SHEAFD to the path of sheafd")
	}
	path := filepath.Join(filepath.Dir(file), "../../../../target/debug/sheafd")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w; run `cargo build -p sheaf-server` or set SHEAFD", err)
	}
	return path, nil
}

// Start starts a server on a data directory, on free ports unless grpc names an address. It is killed when the test
// ends.
func Start(t *testing.T, data, grpc string) *Server {
	t.Helper()
	binary, err := Binary()
	if err != nil {
		t.Fatal(err)
	}
	if grpc == "" {
		grpc = "127.0.0.1:0"
	}
	command := exec.Command(binary, "--data", data, "--grpc", grpc, "--http", "127.0.0.1:0", "--log-filter", "warn")
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	server := &Server{command: command}
	t.Cleanup(server.Kill)
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatalf("sheafd did not get ready: %v", err)
	}
	var ready struct{ Event, GRPC, HTTP string }
	if err := json.Unmarshal(line, &ready); err != nil || ready.Event != "ready" {
		t.Fatalf("sheafd said %q: %v", line, err)
	}
	server.URI, server.HTTP = "sheaf://"+ready.GRPC, ready.HTTP
	return server
}

// Kill ends the server as a crash would. Killing twice does nothing.
func (s *Server) Kill() {
	if s.command == nil {
		return
	}
	// It may have ended by itself; then there is nothing to kill.
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
	s.command = nil
}

// Terminate asks the server to end and returns what it ended with.
func (s *Server) Terminate() error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := s.command.Wait()
	s.command = nil
	return err
}
