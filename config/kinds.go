package config

import (
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"github.com/nats-io/nkeys"

	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// kind is a form of text: the valid values in words, and the check of one.
type kind struct {
	takes string
	check func(text string) error
}

// kinds has the kinds of text by the name in the tag of a field.
var kinds = map[string]kind{
	"address":     {"host:port or :port", checkAddress},
	"authorities": {"the path of a file with certificates in PEM", holds("certificate in PEM", hasCertificate)},
	"provider":    oneOf(providers.Names()),
	"domain":      {"A-Z, a-z, 0-9, _ and -", matches(`^[\w-]+$`, 100)},
	"directory":   {"the path of a directory", checkDirectory},
	"endpoint":    {"1 to 32 of a-z, 0-9 and -, not beginning with -; no other endpoint's name", matches(`^[a-z0-9][a-z0-9-]*$`, 32)},
	"file":        {"the path of a file that can be read", checkFile},
	"credentials": {"the path of a credentials file with JWT and seed", holds("JWT with the seed of its user", hasCredentials)},
	"seed":        {"the path of a file with a user's nkey seed", holds("seed of a user", hasSeed)},
	"servers":     {"nats://host:port or tls://host:port, several with commas between", checkServers},
	"stream":      {"1 to 200 of A-Z, a-z, 0-9, _ and -", matches(`^[A-Za-z0-9_-]+$`, 200)},
	"subject":     {"tokens of A-Z, a-z, 0-9, _ and -, with dots between, at most 100 characters", matches(`^[\w-]+(\.[\w-]+)*$`, 100)},
	"URL":         {"a URL such as http://collector:4318", checkURL},
}

// hint is an error that explains what is wrong with a value. It never contains any of the value.
type hint string

func (h hint) Error() string { return string(h) }

// errInvalid means that a value is wrong, and that the description of the valid ones says enough.
var errInvalid = errors.New("invalid")

// oneOf returns the kind of text that is one of these words.
func oneOf(words []string) kind {
	return kind{"one of " + strings.Join(words, ", "), func(text string) error {
		if !slices.Contains(words, text) {
			return errInvalid
		}
		return nil
	}}
}

// kindOf returns the kind of text that a field takes; the zero kind if it takes any text or none.
func kindOf(field reflect.StructField) kind {
	if words := field.Tag.Get("oneof"); words != "" {
		return oneOf(strings.Fields(words))
	}
	return kinds[field.Tag.Get("kind")]
}

func matches(pattern string, longest int) func(string) error {
	compiled := regexp.MustCompile(pattern)
	return func(text string) error {
		if len(text) > longest || !compiled.MatchString(text) {
			return errInvalid
		}
		return nil
	}
}

// checkAddress checks the form of an address, and doesn't look the host up.
func checkAddress(text string) error {
	host, port, err := net.SplitHostPort(text)
	isWrong := func(r rune) bool { return r <= ' ' || r > '~' }
	if err != nil || strings.ContainsFunc(host, isWrong) || strings.ContainsAny(host, `;$"'`) {
		return errInvalid
	}
	if _, err = strconv.ParseUint(port, 10, 16); err != nil {
		return hint("a port is a number up to 65535")
	}
	return nil
}

// collide reports whether listening at one address prevents listening at the other: they have the same
// port, and the host of one includes that of the other.
func collide(a, b string) bool {
	hostA, portA := listenAddress(a)
	hostB, portB := listenAddress(b)
	return portA == portB && portA != 0 && (hostA == hostB || hostA == "" || hostB == "")
}

// listenAddress returns the host and port on which Go listens for an address. The host "" means all, also
// for 0.0.0.0, for which Go listens on IPv6, too. For localhost it listens on IPv4 alone.
func listenAddress(address string) (host string, port int) {
	host, number, _ := net.SplitHostPort(address)
	port, _ = strconv.Atoi(number)
	if strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip != nil {
		host = ip.String()
		if ip.IsUnspecified() {
			host = ""
		}
	}
	return host, port
}

// IsLoopback reports whether an address is valid and only this machine can reach it.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && checkAddress(address) == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

func checkFile(path string) error {
	file, err := fileio.Open(path)
	if err != nil {
		return hint(errors.Unwrap(err).Error()) // without the path
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		return hint("it is empty")
	}
	return nil
}

// unexpanded matches a path that a shell was meant to expand.
var unexpanded = regexp.MustCompile(`^["'~$]|\$[{(]`)

// checkDirectory checks that nothing else is at the path. Only the start creates a missing directory and
// finds out whether it can be written: a check may run elsewhere, and as another user.
func checkDirectory(path string) error {
	if strings.TrimSpace(path) != path || strings.ContainsFunc(path, unicode.IsControl) {
		return hint("white space around it, or a control character")
	}
	if unexpanded.MatchString(path) { // else the spool would be in a new directory of this name
		return hint("quotation marks, ~ and $ are taken as they are: write the whole path")
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() || errors.Is(err, syscall.ENOTDIR) {
		return hint("not a directory")
	}
	return nil
}

func hasCertificate(content []byte) bool { return x509.NewCertPool().AppendCertsFromPEM(content) }

// holds returns a check that a file holds something.
func holds(what string, isHeld func(content []byte) bool) func(path string) error {
	return func(path string) error {
		if err := checkFile(path); err != nil {
			return err
		}
		content, err := fileio.Read(path, MaxTLSFile)
		switch {
		case err != nil:
			return hint(errors.Unwrap(err).Error()) // without the path
		case !isHeld(content):
			return hint("it holds no " + what)
		}
		return nil
	}
}

// hasSeed reports whether nats.go finds a user's seed in a file.
func hasSeed(content []byte) bool {
	seed, err := nkeys.ParseDecoratedUserNKey(content)
	if err == nil {
		_, err = seed.PublicKey() // checks the checksum
	}
	return err == nil
}

// hasCredentials reports whether nats.go finds a user's JWT and seed in a file. If it finds no JWT, it
// takes the whole file for one.
func hasCredentials(content []byte) bool {
	token, err := nkeys.ParseDecoratedJWT(content)
	return err == nil && strings.HasPrefix(token, "eyJ") && hasSeed(content)
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.TrimSpace(text) != text:
		return errInvalid
	case u.User != nil || u.RawQuery != "": // OpenTelemetry's exporter drops both
		return hint("a user, a password or a query is not sent: use OTEL_EXPORTER_OTLP_HEADERS")
	}
	return nil
}

// checkServers checks the URLs of NATS servers, and that nats.go takes them together.
func checkServers(text string) error {
	isWebSocket := make(map[bool]bool)
	for server := range strings.SplitSeq(text, ",") {
		server = strings.TrimSpace(server)
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(server)
		if err != nil || u.Hostname() == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return errInvalid
		}
		if u.RawQuery != "" { // nats.go ignores it
			return hint("a query is not sent: use NATS_USER and NATS_PASSWORD, or NATS_TOKEN")
		}
		isWebSocket[u.Scheme[0] == 'w'] = true
		if port, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || port == 0) {
			return hint("a port is from 1 to 65535")
		}
		host := u.Host
		if u.Port() == "" {
			host += ":4222"
		}
		if checkAddress(host) != nil {
			return errInvalid
		}
	}
	if len(isWebSocket) > 1 {
		return hint("ws:// and wss:// can't be mixed with nats:// and tls://: use one kind for all servers")
	}
	return nil
}

// credentials matches a URL up to its last @ or, without one, a whole URL whose port is not a number,
// because that may be a password. Its first group is the scheme, if there is one.
var credentials = regexp.MustCompile(`(?s)^(\s*(?:[A-Za-z]+://)?)(?:.*(@)|[^/\[]*:[^/:;\s]*[^0-9/:;\s].*)`)

func hideCredentials(url string) string {
	url, _, hasQuery := strings.Cut(credentials.ReplaceAllString(url, "${1}[hidden]${2}"), "?")
	if hasQuery {
		url += "?[hidden]"
	}
	return url
}

// HideUser returns URLs, comma-separated, without the user, password, token or query that each may hold.
func HideUser(urls string) string {
	servers := strings.Split(urls, ",")
	for i, server := range servers {
		servers[i] = hideCredentials(server)
	}
	return strings.Join(servers, ",")
}

// hide returns a variable's value without the credentials that a URL may hold.
func hide(variable, value string) string {
	switch {
	case variable == "NATS_URL":
		return HideUser(value)
	case strings.HasPrefix(variable, "OTEL_"):
		return hideCredentials(value)
	}
	return value
}
