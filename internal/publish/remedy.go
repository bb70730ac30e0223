package publish

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
)

// remedy returns what to do about a connection that NATS has refused or ended; "" if it will come
// back by itself.
func (s Server) remedy(err error) string {
	var silent net.Error
	text := strings.ToLower(err.Error())
	switch {
	case strings.Contains(text, "account authentication expired"):
		return "the JWT of our account has expired: ask the operator of NATS for a new one"
	case strings.Contains(text, "authentication expired"), // nats.go has no error value for it during the handshake
		errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAuthorization):
		if at := s.expiry(); !at.IsZero() && at.Before(time.Now()) {
			return fmt.Sprintf("the user JWT in NATS_CREDS expired at %s: put new credentials into %s, which is read again at each attempt", at.UTC().Format(time.RFC3339), s.Creds)
		}
		return "the server refuses our credentials: check NATS_CREDS, NATS_NKEY, NATS_TOKEN, or NATS_USER and NATS_PASSWORD"
	case errors.As(err, &silent) && silent.Timeout() && strings.Contains(text, "read") && !s.TLSFirst:
		return "the server accepts connections and then stays silent: if its tls block has handshake_first, set NATS_TLS_FIRST=true"
	case s.TLSFirst && strings.Contains(text, "tls:"):
		return "NATS_TLS_FIRST=true needs a server whose tls block has handshake_first"
	}
	return ""
}

// expiry returns when the user JWT in the credentials file expires; zero if that is unknown or
// never.
func (s Server) expiry() time.Time {
	content, err := os.ReadFile(s.Creds)
	if err != nil {
		return time.Time{}
	}
	token, err := jwt.ParseDecoratedJWT(content)
	if err != nil {
		return time.Time{}
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil || claims.Expires == 0 {
		return time.Time{}
	}
	return time.Unix(claims.Expires, 0)
}

var subscribeTo = regexp.MustCompile(`(?i)for subscription to "([^"]+)"`)

// noInbox returns an error if the violation is that we may not subscribe to our own inbox. Without
// it no answer can reach us.
func (s Server) noInbox(violation error) error {
	prefix := s.InboxPrefix
	if prefix == "" {
		prefix = "_INBOX"
	}
	m := subscribeTo.FindStringSubmatch(violation.Error())
	if m == nil || !strings.HasPrefix(strings.ToLower(m[1]), strings.ToLower(prefix)+".") {
		return nil
	}
	return fmt.Errorf("%w: our account may not subscribe to %s.>, where NATS answers: allow it, or set NATS_INBOX_PREFIX to the prefix that the account allows", nats.ErrPermissionViolation, prefix)
}

// checkInbox returns an error if our account may not subscribe to our inbox.
func (s Server) checkInbox(nc *nats.Conn) error {
	probe, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return err
	}
	defer func() { _ = probe.Unsubscribe() }()
	if err := nc.FlushTimeout(commandTimeout); err != nil { // a violation arrives before the flush's answer
		return err
	}
	if err := nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) {
		return s.noInbox(err)
	}
	return nil
}

// tooOld reports whether a server's version is below 2.10.
func tooOld(version string) bool {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, errX := strconv.Atoi(major)
	y, errY := strconv.Atoi(minor)
	return errX == nil && errY == nil && (x < 2 || x == 2 && y < 10)
}
