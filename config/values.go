package config

import (
	"errors"
	"math"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/filewatch"
	"github.com/ade15e70/webhook-bridge/internal/secret"
)

// This file has the types of the values. Each has UnmarshalText, which checks a value, and takes,
// which describes the valid ones.

// Address is host:port to listen on; without a host on every interface.
type Address string

// UnmarshalText checks the address; it doesn't look the host up.
func (a *Address) UnmarshalText(text []byte) error {
	_, port, err := net.SplitHostPort(string(text))
	if err != nil {
		return err
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("no such port")
	}
	*a = Address(text)
	return nil
}

func (Address) takes() string { return "host:port or :port" }

// IsLoopback reports whether only this machine can reach the address.
func (a Address) IsLoopback() bool {
	host, _, err := net.SplitHostPort(string(a))
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// Port returns the address's port.
func (a Address) Port() int {
	_, port, _ := net.SplitHostPort(string(a))
	n, _ := strconv.Atoi(port)
	return n
}

// Size is a number of bytes.
type Size int64

var units = []struct {
	suffix string
	bytes  int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}

// UnmarshalText reads a size such as 512KiB or a plain number of bytes.
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range units {
		digits, ok := strings.CutSuffix(string(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil || int64(n) > math.MaxInt64/u.bytes {
			break
		}
		*s = Size(int64(n) * u.bytes)
		return nil
	}
	return errors.New("not a size")
}

func (Size) takes() string { return "a size such as 512KiB, 1GiB or plain bytes" }

// String writes the size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range units {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return "0"
}

// ParseDuration reads a duration such as 400ms or 24h, or whole days, 7d.
func ParseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, errors.New("not a duration")
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}

// File is the path of a file that can be read.
type File string

// UnmarshalText checks that the file can be read.
func (f *File) UnmarshalText(text []byte) error {
	opened, err := filewatch.OpenFile(string(text))
	if err != nil {
		return hint(errors.Unwrap(err).Error()) // without the path
	}
	_ = opened.Close()
	*f = File(text)
	return nil
}

func (File) takes() string { return "the path of a file that can be read" }

// SubjectTokens is a NATS subject without wildcards.
type SubjectTokens string

var subjectTokens = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// UnmarshalText checks the tokens.
func (s *SubjectTokens) UnmarshalText(text []byte) error {
	if !subjectTokens.Match(text) || len(text) > 100 {
		return errors.New("not tokens of a subject")
	}
	*s = SubjectTokens(text)
	return nil
}

func (SubjectTokens) takes() string {
	return "tokens of A-Z, a-z, 0-9, _ and -, with dots between, at most 100 characters"
}

// StreamName is the name of a stream.
type StreamName string

var streamName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)

// UnmarshalText checks the name.
func (s *StreamName) UnmarshalText(text []byte) error {
	if !streamName.Match(text) {
		return errors.New("not a stream's name")
	}
	*s = StreamName(text)
	return nil
}

func (StreamName) takes() string { return "1 to 200 of A-Z, a-z, 0-9, _ and -" }

// secretList is shared secrets, the current one first.
type secretList []secret.Secret

// UnmarshalText splits at commas.
func (l *secretList) UnmarshalText(text []byte) (err error) {
	*l, err = secret.List(string(text))
	if errors.Is(err, secret.ErrTwice) || errors.Is(err, secret.ErrPlaceholder) {
		return hint(err.Error())
	}
	return err
}

func (secretList) takes() string {
	return "secrets with commas between, none of them empty"
}

// readFile reads one secret a line.
func (l *secretList) readFile(file File) error {
	content, err := filewatch.ReadFile(string(file), secret.MaxFile)
	if err != nil {
		return err
	}
	*l, err = secret.Lines(content)
	return err
}

// URL is where something is reached by HTTP.
type URL string

// UnmarshalText checks the URL.
func (u *URL) UnmarshalText(text []byte) error {
	parsed, err := url.Parse(string(text))
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "" {
		return errors.New("not a URL")
	}
	*u = URL(text)
	return nil
}

func (URL) takes() string { return "a URL such as http://collector:4318" }

// String hides a password.
func (u URL) String() string { return ServerList(u).String() }
