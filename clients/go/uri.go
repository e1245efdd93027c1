package sheaf

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

const defaultPort = "7070"

// targetOf reads "sheaf://host[:port]" or "host[:port]" and returns what gRPC dials.
func targetOf(uri string) (string, error) {
	host := uri
	if strings.Contains(uri, "://") {
		parsed, err := url.Parse(uri)
		if err != nil {
			return "", invalid(fmt.Sprintf("the address %q is no URI: %v", uri, err), err)
		}
		switch {
		case parsed.Scheme != "sheaf":
			return "", invalid(fmt.Sprintf("the address %q has the scheme %q; it must be sheaf", uri, parsed.Scheme), nil)
		case parsed.User != nil:
			return "", invalid("a user in the address is not supported", nil)
		case parsed.Path != "" && parsed.Path != "/":
			return "", invalid(fmt.Sprintf("the address %q has a path, which means nothing", uri), nil)
		case parsed.RawQuery != "" || parsed.Fragment != "":
			return "", invalid(fmt.Sprintf("the address %q has options, and there are none", uri), nil)
		}
		host = parsed.Host
	}
	if host == "" {
		return "", invalid("the address has no host", nil)
	}
	if strings.Contains(host, ",") {
		return "", invalid("more than one host in an address is not supported", nil)
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(strings.Trim(host, "[]"), defaultPort)
	}
	return "passthrough:///" + host, nil
}
