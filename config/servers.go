package config

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// ServerList is the URLs of NATS servers, comma-separated.
type ServerList string

// hint is an error that explains what is wrong with a value. It never contains any of the value.
type hint string

func (h hint) Error() string { return string(h) }

// UnmarshalText checks each URL, and that nats.go takes them together.
func (l *ServerList) UnmarshalText(text []byte) error {
	webSocket := make(map[bool]bool)
	for server := range strings.SplitSeq(string(text), ",") {
		server = strings.TrimSpace(server)
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(server)
		if (err != nil || strings.Contains(u.Host, ";")) && strings.ContainsAny(server, "; \t\n") {
			return hint("separate servers by commas, not by ; or blanks")
		}
		if err != nil || u.Hostname() == "" {
			return errors.New("not a server's URL")
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
			webSocket[u.Scheme[0] == 'w'] = true
		default:
			return errors.New("not a server's URL")
		}
		if port, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || port < 1 || port > 65535) {
			return hint("a port must be from 1 to 65535")
		}
		if strings.Count(u.Host, ":") > 1 && !strings.Contains(u.Host, "[") {
			return hint("put an IPv6 address in brackets: nats://[::1]:4222")
		}
	}
	if len(webSocket) > 1 {
		return hint("ws:// and wss:// can't be mixed with nats:// and tls://: use one kind for all servers")
	}
	*l = ServerList(text)
	return nil
}

func (ServerList) takes() string {
	return "nats://host:port or tls://host:port, several with commas between"
}

// userinfo matches a URL up to its last @. The scheme, which is kept, may be missing.
var userinfo = regexp.MustCompile(`^(\s*(?:[A-Za-z]+://)?).*@`)

// String hides the user, password or token that a URL may hold.
func (l ServerList) String() string {
	servers := strings.Split(string(l), ",")
	for i, server := range servers {
		servers[i] = userinfo.ReplaceAllString(server, "${1}[hidden]@")
	}
	return strings.Join(servers, ",")
}
