package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/secret"
)

// Server is the NATS address and our credentials. Empty fields are ignored.
type Server struct {
	Name          string // of this client, as the server's monitoring shows it
	URL           string // one or several, comma-separated
	Creds         string // file
	Nkey          string // file with the seed
	User          string
	Password      secret.Secret
	Token         secret.Secret
	CA, Cert, Key string // files
	TLSFirst      bool   // start with the TLS handshake: for a server with handshake_first
	InboxPrefix   string
	Domain        string // of JetStream
}

// JetStream returns the JetStream context of the configured domain.
func (s Server) JetStream(nc *nats.Conn) jetstream.JetStream {
	js, _ := jetstream.New(nc) // no error: there are no options
	if s.Domain != "" {
		js, _ = jetstream.NewWithDomain(nc, s.Domain)
	}
	return js
}

// commandTimeout bounds a command's attempt to connect, because its user waits.
const commandTimeout = 10 * time.Second

// Connect returns a connection for a command. It makes one attempt, unless the options say otherwise.
func (s Server) Connect(more ...nats.Option) (*nats.Conn, error) {
	options := []nats.Option{nats.Timeout(commandTimeout), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort()}
	nc, err := s.dial(append(options, more...)...)
	if err != nil {
		return nil, s.Explain(err)
	}
	return nc, nil
}

// Explain adds the remedy, if one is known, to an error of a command's connection.
func (s Server) Explain(err error) error {
	remedy := s.remedy(err)
	if errors.Is(err, io.EOF) { // no remedy for a bridge, which waits: NATS may be restarting
		remedy = "the server hangs up without a greeting: start NATS there, or set NATS_URL to its address; " +
			"set NATS_TLS_FIRST=true if, and only if, its tls block has handshake_first"
	}
	if remedy != "" {
		err = fmt.Errorf("%w: %s", err, remedy)
	}
	return err
}

// connect returns a connection for a session. It makes one attempt.
func (s Server) connect(d *dialer, handlers ...nats.Option) (*nats.Conn, error) {
	nc, err := s.dial(append(handlers,
		nats.NoReconnect(),
		nats.PingInterval(5*time.Second),
		nats.MaxPingsOutstanding(2), // a silent server is noticed after 15 s, not 6 minutes
		nats.FlusherTimeout(0),      // conn.Write sets deadlines
		nats.Timeout(dialTimeout),
		nats.SetCustomDialer(d),
		nats.SkipHostLookup(), // the dialer looks names up
	)...)
	if errors.Is(err, io.EOF) && d.last != nil && time.Since(d.last.began) > 250*time.Millisecond {
		err = errNoGreeting
	}
	return nc, err
}

var (
	// errNoWebSocket replaces an error that quotes the server's whole answer.
	errNoWebSocket = errors.New("the server doesn't speak WebSocket")
	// errNoGreeting means that the server has waited before it hung up. One that is stopping hangs up at once.
	errNoGreeting = errors.New("the server hangs up without a greeting")
)

// dial connects. It returns an error if our account may not subscribe to its inboxes: no answer could reach us.
func (s Server) dial(more ...nats.Option) (*nats.Conn, error) {
	nc, err := nats.Connect(s.URL, slices.Concat(s.credentials(), []nats.Option{nats.Name(s.Name)}, more)...)
	if err != nil && strings.HasPrefix(err.Error(), "malformed HTTP ") {
		err = errNoWebSocket
	}
	if err != nil || !nc.IsConnected() {
		return nc, err
	}
	var probes [2]*nats.Subscription // like the inboxes of acknowledgements and of answers to requests
	for i := range probes {
		probes[i], _ = nc.SubscribeSync(nc.NewInbox() + ".*")
	}
	_ = nc.FlushTimeout(nc.Opts.Timeout) // an error arrives before the answer
	for _, probe := range probes {
		_ = probe.Unsubscribe()
	}
	if err := nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) || errors.Is(err, nats.ErrMaxSubscriptionsExceeded) {
		nc.Close()
		return nil, fmt.Errorf("our account may not subscribe to %s.>, where NATS answers: %w", s.inboxPrefix(), err)
	}
	return nc, nil
}

func (s Server) inboxPrefix() string { return cmp.Or(s.InboxPrefix, "_INBOX") }

// check returns an error if the settings can't be used at all, such as the name of a missing file.
func (s Server) check() error {
	ended, end := context.WithCancel(context.Background())
	end()
	if _, err := s.connect(&dialer{ctx: ended}); !errors.Is(err, context.Canceled) { // else only dialling failed
		return err
	}
	return nil
}

// isPayloadRaised reports whether the connection's server takes larger messages than when we connected. A
// server that reloads its configuration doesn't tell its clients (nats-server, maxPayloadOption.Apply): only
// a new connection learns the new limit.
func (s Server) isPayloadRaised(ctx context.Context, nc *nats.Conn) (bool, error) {
	s.URL = nc.ConnectedUrl()
	fresh, err := s.connect(&dialer{ctx: ctx})
	if err != nil {
		return false, err
	}
	defer fresh.Close()
	return fresh.MaxPayload() > nc.MaxPayload(), nil
}

// credentials returns the options for our credentials, TLS and inbox.
func (s Server) credentials() (options []nats.Option) {
	add := func(isSet bool, option nats.Option) {
		if isSet {
			options = append(options, option)
		}
	}
	add(s.Creds != "", nats.UserCredentials(s.Creds))
	add(s.Nkey != "", nkey(s.Nkey))
	add(s.User != "", nats.UserInfo(s.User, string(s.Password.Key())))
	add(!s.Token.IsEmpty(), nats.Token(string(s.Token.Key())))
	add(s.CA != "", nats.RootCAs(s.CA))
	add(s.Cert != "", nats.ClientCert(s.Cert, s.Key))
	add(s.TLSFirst, nats.TLSHandshakeFirst())
	add(s.InboxPrefix != "", nats.CustomInboxPrefix(s.InboxPrefix))
	return options
}

// nkey returns the option for a file with an nkey's seed.
func nkey(file string) nats.Option {
	return func(o *nats.Options) error {
		option, err := nats.NkeyOptionFromSeed(file)
		if err != nil {
			return fmt.Errorf("NATS_NKEY=%s: %w", file, err)
		}
		return option(o)
	}
}
