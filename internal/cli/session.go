package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// session is one run of a command that uses NATS.
type session struct {
	prog   program
	cfg    *config.Config
	server publish.Server
	js     jetstream.JetStream
}

// cobraRun is the function of a cobra command.
type cobraRun = func(*cobra.Command, []string) error

// withNATS returns a command's function: it loads the variables that match the patterns, connects to NATS
// and calls do.
func (p program) withNATS(patterns []string, do func(context.Context, *session, []string) error, options ...nats.Option) cobraRun {
	return func(c *cobra.Command, args []string) error {
		cfg, err := p.load(patterns...)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancelCause(c.Context())
		defer cancel(nil)
		s, err := p.connect(c.Context(), cfg, append(options, endIfForbidden(cancel))...) // not ctx: connect explains a missing right itself
		if err != nil {
			return err
		}
		defer s.js.Conn().Close()
		err = do(ctx, s, args)
		if cause := context.Cause(ctx); errors.Is(cause, nats.ErrPermissionViolation) {
			return cause
		}
		return err
	}
}

// endIfForbidden ends a command that lacks a right. NATS doesn't answer a forbidden request; it
// only reports the violation on the connection. No command needs the right to delete its consumer: the
// server removes an unused one after a while.
func endIfForbidden(end context.CancelCauseFunc) nats.Option {
	return nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) && !strings.Contains(err.Error(), ".CONSUMER.DELETE.") {
			end(fmt.Errorf("%w: grant this right, or use another account; see docs/operations.md#nats-permissions", err))
		}
	})
}

// connect connects to the bridge's NATS. It prints when the connection is lost and restored, and why
// reconnecting fails.
func (p program) connect(ctx context.Context, cfg *config.Config, options ...nats.Option) (*session, error) {
	url := cfg.NATSURL
	if cfg.IsEmbedded() {
		url = "nats://" + local(cfg.EmbeddedNATSAddr)
	}
	server := app.NATSServer(cfg, url, version())
	unreachable := func(err error) error {
		return fmt.Errorf("connecting to NATS at %s: %w%s", config.HideUser(server.URL), err, startHint(err))
	}
	reported := false // since the connection was lost
	options = append(options,
		nats.DisconnectErrHandler(func(nc *nats.Conn, _ error) {
			if reported = false; !nc.IsClosed() {
				p.say("disconnected from NATS, trying to reconnect")
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if !reported && !errors.Is(err, nats.ErrNoServers) { // nats.go reports that one first, and it says nothing
				reported = true
				p.say("%v; still trying", unreachable(server.Explain(err)))
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { p.say("connected to NATS again") }),
	)
	nc, err := interruptibly(ctx, func() (*nats.Conn, error) { return server.Connect(options...) })
	if err != nil {
		return nil, unreachable(err)
	}
	return &session{p, cfg, server, server.JetStream(nc)}, nil
}

// startHint returns what to do if no NATS server answered; "" if one did.
func startHint(err error) string {
	network, _ := errors.AsType[*net.OpError](err)
	if errors.Is(err, nats.ErrNoServers) || network != nil && network.Op == "dial" {
		return "; start NATS there, or set NATS_URL to its address"
	}
	return ""
}

const (
	ackTimeout    = 5 * time.Second
	settleTimeout = 10 * time.Second
)

// publisher returns a publisher for the bridge's streams. It neither creates nor changes them.
func (s *session) publisher(ctx context.Context) (*publish.Publisher, error) {
	events, kept := app.Streams(s.cfg)
	events.Manage, kept.Manage = false, false
	events.Endpoints, kept.Endpoints = nil, nil // the messages may be of other endpoints
	p, err := publish.Open(publish.Config{
		Server: s.server, Stream: events, Quarantine: &kept,
		Timeout: ackTimeout, Log: zap.NewNop(), // the command reports the errors
	})
	if err != nil {
		return nil, err
	}
	p.AwaitChecks(ctx, settleTimeout)
	return p, nil
}

// stream returns the stream with this name. It returns an error if the stream has nothing on one of these
// subjects, which may have wildcards. A mirror, which has no subjects of its own, may have anything.
func (s *session) stream(ctx context.Context, name string, subjects ...string) (jetstream.Stream, error) {
	found, err := s.js.Stream(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("stream %s does not exist: check STREAM_NAME and QUARANTINE, or start a bridge, which creates the stream", name)
	case stream.IsUnavailable(err):
		return nil, fmt.Errorf("reading stream %s: %w; JetStream must be enabled there and for this account, "+
			"and NATS_JS_DOMAIN must be its domain", name, err)
	case err != nil:
		return nil, fmt.Errorf("reading stream %s: %w", name, err)
	}
	has := found.CachedInfo().Config.Subjects
	for _, subject := range subjects {
		if len(has) > 0 && !slices.ContainsFunc(has, func(s string) bool { return server.SubjectsCollide(s, subject) }) {
			return nil, usagef("stream %s has no subject that %s matches, only %s", name, subject, strings.Join(has, ", "))
		}
	}
	return found, nil
}

// tailConsumer is the prefix of the names of consumers that read the stream.
const tailConsumer = "bridge-tail-"

// errEnough ends reading without an error.
var errEnough = errors.New("enough")

// read calls handle with each message of the section, in order. It returns nil if handle returns errEnough,
// or when a section with Stop is complete. It goes on after a reconnection or a recreated stream, and neither
// loses nor repeats a message.
func (s *session) read(ctx context.Context, section stream.Section, handle func(stream.Message) error) error {
	if _, err := s.stream(ctx, section.Stream, section.Subjects...); err != nil {
		return err
	}
	reader := stream.Reader{
		JetStream: s.js, Section: section, Name: tailConsumer, Handle: handle, Report: s.reporter(ctx, section),
	}
	if err := reader.Run(ctx); err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("reading stream %s: %w", section.Stream, err)
	}
	return nil
}

// reporter returns a function that prints when a reader begins to follow the section, and each new error once.
func (s *session) reporter(ctx context.Context, section stream.Section) func(error) {
	isFollowing, printed := false, ""
	return func(err error) {
		text := ""
		switch {
		case err == nil && !isFollowing && !section.Stop:
			isFollowing = true
			text = fmt.Sprintf("following %s in stream %s, until Ctrl-C", strings.Join(section.Subjects, ", "), section.Stream)
		case errors.Is(err, stream.ErrRecreated):
			text = fmt.Sprintf("stream %s was deleted and created again, continuing with its first message", section.Stream)
		case err != nil && ctx.Err() == nil:
			text = fmt.Sprintf("reading stream %s: %v; trying again", section.Stream, err)
		}
		if text != "" && text != printed {
			s.prog.say("%s", text)
		}
		printed = text
	}
}

// unlessEnded returns the error, or nil if the context has ended.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// sleep pauses for d, or until the context ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
