package publish

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
)

const clientPort = "NATS_URL must lead to the server's port for clients, usually 4222"

// remedy returns what to do after NATS has refused or ended a connection; "" if the connection will come
// back by itself.
func (s Server) remedy(err error) string {
	var timeout net.Error
	text := strings.ToLower(err.Error())
	switch {
	case strings.Contains(text, "account authentication expired"):
		return "the JWT of our account has expired: ask the operator of NATS for a new one"
	case strings.Contains(text, "authentication expired"), // during the handshake nats.go has no error value for it
		errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAuthorization):
		switch at := s.expiry(); {
		case !at.IsZero() && at.Before(time.Now()):
			return fmt.Sprintf("the user JWT in NATS_CREDS expired at %s: put new credentials into %s, which is read again at each attempt",
				at.UTC().Format(time.RFC3339), s.Creds)
		case s.Creds != "": // the server says that the account's has expired only once
			return "the server refuses our credentials: check NATS_CREDS, and whether the JWT of our account has expired or was revoked"
		}
		return "the server refuses our credentials: check NATS_CREDS, NATS_NKEY, NATS_TOKEN, or NATS_USER and NATS_PASSWORD"
	case !s.TLSFirst && (errors.Is(err, errNoGreeting) || errors.As(err, &timeout) && timeout.Timeout() && strings.Contains(text, "read")):
		return "the server doesn't answer: restart it if it hangs; if its tls block has handshake_first, set NATS_TLS_FIRST=true; " +
			clientPort + ", past any firewall"
	case errors.Is(err, nats.ErrNoInfoReceived), strings.Contains(text, "leaf node port"):
		return clientPort
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "the server has no TLS: begin NATS_URL with nats://, and leave out NATS_CA, NATS_CERT and NATS_KEY"
	case strings.Contains(text, "remote error: tls:") && strings.Contains(text, "certificate"),
		strings.Contains(text, "closed by remote after tls handshake"):
		return "the server may want another client certificate: set NATS_CERT and NATS_KEY to one that is valid now and that it trusts"
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "set NATS_CA to the authority that has issued the server's certificate"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return "give the server a certificate that is valid now for the host in NATS_URL, or mend the clock or NATS_URL"
	case errors.As(err, new(*fs.PathError)), strings.Contains(text, "nats: error loading"), strings.Contains(text, "failed to parse root certificate"):
		return "mend the file, which is read at each attempt"
	case errors.Is(err, nats.ErrPermissionViolation):
		return "allow it, or set NATS_INBOX_PREFIX to the prefix that the account allows"
	case strings.Contains(text, "maximum") && strings.Contains(text, "exceeded"): // subscriptions or connections
		return "raise that limit of our user, our account or the server"
	case s.TLSFirst && strings.Contains(text, "tls:"):
		return "NATS_TLS_FIRST=true needs a server whose tls block has handshake_first"
	case errors.Is(err, errNoWebSocket), strings.Contains(text, "first record does not look like a tls handshake"):
		return "begin NATS_URL with nats:// or tls://, or give it the port of the server's websocket block"
	}
	return ""
}

// expiry returns when the user JWT in the credentials file expires; zero if never, or if that is unknown.
func (s Server) expiry() time.Time {
	content, _ := os.ReadFile(s.Creds)
	token, _ := jwt.ParseDecoratedJWT(content)
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil || claims.Expires == 0 {
		return time.Time{}
	}
	return time.Unix(claims.Expires, 0)
}

// tooOld reports whether a server's version is below 2.10.
func tooOld(version string) bool {
	var major, minor int
	n, _ := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d", &major, &minor)
	return n == 2 && (major < 2 || major == 2 && minor < 10)
}
