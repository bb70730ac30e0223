package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// connect connects to the NATS that a bridge with this configuration uses, and tells on words when
// the connection is lost and found again.
func connect(cfg *config.Config, words io.Writer) (*nats.Conn, jetstream.JetStream, error) {
	url := natsURL(cfg)
	server := app.NATSServer(cfg, url, version())
	nc, err := server.Connect()
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrPermissionViolation):
		return nil, nil, fmt.Errorf("connecting to NATS at %s: %w", config.ServerList(url), err)
	case err != nil:
		return nil, nil, fmt.Errorf("connecting to NATS at %s: %w; is it running there? NATS_URL says where it is", config.ServerList(url), err)
	}
	nc.SetDisconnectErrHandler(func(nc *nats.Conn, _ error) {
		if !nc.IsClosed() {
			_, _ = fmt.Fprintln(words, "bridge: disconnected from NATS, trying to reconnect")
		}
	})
	nc.SetReconnectHandler(func(*nats.Conn) {
		_, _ = fmt.Fprintln(words, "bridge: connected to NATS again")
	})
	js, err := server.JetStream(nc)
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("using JetStream: %w", err)
	}
	return nc, js, nil
}

// natsURL is where the NATS is that a bridge with this configuration uses.
func natsURL(cfg *config.Config) string {
	if cfg.IsEmbedded() {
		return "nats://" + local(cfg.EmbeddedNATSAddr)
	}
	return string(cfg.NATSURL)
}

// streamNamed returns the stream, or says what to do about it; made says who makes it.
func streamNamed(ctx context.Context, js jetstream.JetStream, name, made string) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("stream %s does not exist; %s", name, made)
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return nil, fmt.Errorf("reading stream %s: %w; JetStream must be enabled there and for this account, and NATS_JS_DOMAIN must be its domain", name, err)
	case err != nil:
		return nil, fmt.Errorf("reading stream %s: %w", name, err)
	}
	return stream, nil
}

// madeByBridge says what to do about a stream that doesn't exist.
const madeByBridge = "a bridge makes it when it connects, see STREAM_NAME"

// followSection hands each message of the section to handle, in order, until the context ends or, where it is
// to stop, the section is read. It goes on over reconnections, and when the stream is made anew, without
// losing or repeating any. Once it has begun it says so on words, which take one trouble once.
func followSection(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, s stream.Section, words io.Writer, handle func(stream.Message) error) error {
	found, err := streamNamed(ctx, js, s.Stream, madeByBridge)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	takes := found.CachedInfo().Config.Subjects
	for _, subject := range s.Subjects {
		if !slices.ContainsFunc(takes, func(taken string) bool { return overlap(taken, subject) }) {
			return usageError{fmt.Errorf("nothing in stream %s can match %s, it takes %s", s.Stream, subject, strings.Join(takes, ", "))}
		}
	}
	begun, told := false, ""
	reader := stream.Reader{
		Conn: nc, JetStream: js, Section: s, Name: "bridge-tail-", Handle: handle,
		Told: func(err error) {
			text := ""
			switch {
			case err == nil && !begun && !s.Stop:
				begun = true
				text = fmt.Sprintf("following %s in stream %s, until Ctrl-C", strings.Join(s.Subjects, ", "), s.Stream)
			case errors.Is(err, stream.ErrMadeAnew):
				text = fmt.Sprintf("stream %s was deleted and made anew, going on with its first message", s.Stream)
			case err != nil && ctx.Err() == nil:
				text = fmt.Sprintf("reading stream %s: %v; trying again", s.Stream, err)
			}
			if text != "" && text != told {
				_, _ = fmt.Fprintf(words, "bridge: %s\n", text)
			}
			told = text
		},
	}
	if err := reader.Run(ctx); err != nil {
		return fmt.Errorf("reading stream %s: %w", s.Stream, err)
	}
	return nil
}

// unlessEnded returns the error, or none where the context has ended: then that is why.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// overlap says whether a subject can match both, which may have wildcards.
func overlap(a, b string) bool {
	for {
		first, restA, moreA := strings.Cut(a, ".")
		other, restB, moreB := strings.Cut(b, ".")
		switch {
		case first == ">" || other == ">":
			return true
		case first != other && first != "*" && other != "*", moreA != moreB:
			return false
		case !moreA:
			return true
		}
		a, b = restA, restB
	}
}

// isSubject says whether NATS takes the text as a subject, wildcards included.
func isSubject(text string) bool {
	tokens := strings.Split(text, ".")
	for i, token := range tokens {
		if token == "" || strings.ContainsAny(token, " \t\r\n") || token == ">" && i < len(tokens)-1 {
			return false
		}
	}
	return true
}
