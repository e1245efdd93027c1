package sheaf

import (
	"errors"
	"testing"
)

func TestAddressesAreRead(t *testing.T) {
	for uri, want := range map[string]string{
		"sheaf://127.0.0.1:9000": "passthrough:///127.0.0.1:9000",
		"sheaf://db.example":     "passthrough:///db.example:7070",
		"sheaf://db.example:1/":  "passthrough:///db.example:1",
		"sheaf://[::1]":          "passthrough:///[::1]:7070",
		"sheaf://[::1]:5":        "passthrough:///[::1]:5",
		"127.0.0.1:9000":         "passthrough:///127.0.0.1:9000",
		"localhost":              "passthrough:///localhost:7070",
	} {
		got, err := targetOf(uri)
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", uri, got, err, want)
		}
	}
}

func TestWhatAnAddressMustNotHaveIsRefused(t *testing.T) {
	for _, uri := range []string{
		"", "sheaf://", "mongodb://localhost", "sheaf://user@host", "sheaf://host/path", "sheaf://host?a=b",
		"sheaf://one,two", "sheaf://ho st",
	} {
		if _, err := targetOf(uri); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", uri, err)
		}
	}
}
