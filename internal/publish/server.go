package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

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
func (s Server) JetStream(nc *nats.Conn, options ...jetstream.JetStreamOpt) (jetstream.JetStream, error) {
	if s.Domain != "" {
		return jetstream.NewWithDomain(nc, s.Domain, options...)
	}
	return jetstream.New(nc, options...)
}

// commandTimeout bounds a command's attempt to connect, because its user waits.
const commandTimeout = 10 * time.Second

// Connect returns a connection for a command. It makes one attempt, unless the options say
// otherwise.
func (s Server) Connect(more ...nats.Option) (*nats.Conn, error) {
	options, err := s.credentials()
	if err != nil {
		return nil, err
	}
	options = append(options, nats.Name(s.Name), nats.Timeout(commandTimeout), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort())
	nc, err := nats.Connect(s.URL, append(options, more...)...)
	if err != nil {
		if remedy := s.remedy(err); remedy != "" {
			err = fmt.Errorf("%w: %s", err, remedy)
		}
		return nil, err
	}
	if nc.IsConnected() {
		err := s.checkInbox(nc)
		if isLost := errors.Is(err, nats.ErrConnectionClosed) && !nc.IsClosed(); err != nil && !isLost { // nats.go reconnects
			nc.Close()
			return nil, err
		}
	}
	return nc, nil
}

// connect returns a connection for a session. It makes one attempt.
func (s Server) connect(d nats.CustomDialer, of *session) (*nats.Conn, error) {
	options, err := s.credentials()
	if err != nil {
		return nil, err
	}
	options = append(options,
		nats.Name(s.Name),
		nats.NoReconnect(),
		nats.PingInterval(5*time.Second),
		nats.MaxPingsOutstanding(2), // a silent server is noticed after 15 s, not 6 minutes
		nats.FlusherTimeout(0),      // conn.Write sets deadlines
		nats.Timeout(dialTimeout),
		nats.SetCustomDialer(d),
		nats.SkipHostLookup(), // the dialer looks names up
		nats.ErrorHandler(of.asyncError),
		nats.ClosedHandler(func(*nats.Conn) { close(of.closed) }),
		nats.LameDuckModeHandler(func(*nats.Conn) { of.log.Info("NATS server is shutting down") }),
	)
	return nats.Connect(s.URL, options...)
}

// noDialer refuses to dial.
type noDialer struct{}

var errNoDialer = errors.New("not dialled")

func (noDialer) Dial(string, string) (net.Conn, error) { return nil, errNoDialer }

// check returns an error if the settings can't be used at all: a file is missing, for example.
func (s Server) check() error {
	if _, err := s.connect(noDialer{}, &session{}); !errors.Is(err, errNoDialer) {
		return err
	}
	return nil
}

// wasRaised reports whether the connection's server takes larger messages than when we connected.
// After a reload of its configuration it doesn't inform its clients (nats-server,
// maxPayloadOption.Apply): only a new connection learns the new limit.
func (s Server) wasRaised(ctx context.Context, nc *nats.Conn) (bool, error) {
	s.URL = nc.ConnectedUrl()
	fresh, err := s.connect(&dialer{ctx: ctx}, &session{log: zap.NewNop(), server: s, closed: make(chan struct{})})
	if err != nil {
		return false, err
	}
	defer fresh.Close()
	if err := fresh.FlushTimeout(commandTimeout); err != nil { // an account's limit comes after the first PONG
		return false, err
	}
	return fresh.MaxPayload() > nc.MaxPayload(), nil
}

// credentials returns the options for our credentials, TLS and inbox.
func (s Server) credentials() ([]nats.Option, error) {
	var options []nats.Option
	if s.Creds != "" {
		options = append(options, nats.UserCredentials(s.Creds))
	}
	if s.Nkey != "" {
		nkey, err := nats.NkeyOptionFromSeed(s.Nkey)
		if err != nil {
			return nil, fmt.Errorf("NATS_NKEY=%s: %w", s.Nkey, err)
		}
		options = append(options, nkey)
	}
	if s.User != "" {
		options = append(options, nats.UserInfo(s.User, string(s.Password.Key())))
	}
	if !s.Token.IsEmpty() {
		options = append(options, nats.Token(string(s.Token.Key())))
	}
	if s.CA != "" {
		options = append(options, named("NATS_CA="+s.CA, nats.RootCAs(s.CA)))
	}
	if s.Cert != "" {
		options = append(options, named("NATS_CERT="+s.Cert+", NATS_KEY="+s.Key, nats.ClientCert(s.Cert, s.Key)))
	}
	if s.TLSFirst {
		options = append(options, nats.TLSHandshakeFirst())
	}
	if s.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(s.InboxPrefix))
	}
	return options, nil
}

// named returns the option. Its error names the variables.
func named(variables string, option nats.Option) nats.Option {
	return func(o *nats.Options) error {
		if err := option(o); err != nil {
			return fmt.Errorf("%s: %w", variables, err)
		}
		return nil
	}
}
