package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/app"
)

// connect connects to the NATS that a bridge with this configuration uses, and tells on words when
// the connection is lost and found again.
func connect(cfg *config.Config, words io.Writer) (*nats.Conn, jetstream.JetStream, error) {
	url := natsURL(cfg)
	server := app.NATSServer(cfg, url, version())
	nc, err := server.Connect()
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return nil, nil, fmt.Errorf("connecting to NATS at %s: %w; say who you are with NATS_CREDS, NATS_NKEY, NATS_TOKEN, or NATS_USER and NATS_PASSWORD", config.ServerList(url), err)
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

// section is a part of a stream.
type section struct {
	stream  string
	subject string
	since   time.Time // begin with what was stored since; zero: with what comes from now on
}

// follow hands each message of the section to handle, in order, until the context ends. It goes on
// over reconnections without losing or repeating any. Once it has begun it says so on words.
func follow(ctx context.Context, js jetstream.JetStream, s section, words io.Writer, handle func(jetstream.Msg) error) error {
	consumer, err := s.consumer(ctx, js)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	told := ""
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		if err := handle(m); err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	}, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		// It tries again by itself. One call at a time; the same trouble is told once.
		if text := err.Error(); text != told {
			told = text
			_, _ = fmt.Fprintf(words, "bridge: reading stream %s: %s; trying again\n", s.stream, text)
		}
	}))
	if err != nil {
		return fmt.Errorf("reading stream %s: %w", s.stream, err)
	}
	defer consuming.Stop()
	_, _ = fmt.Fprintf(words, "bridge: following %s in stream %s, until Ctrl-C\n", s.subject, s.stream)
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// consumer makes the consumer that reads the section.
func (s section) consumer(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	stream, err := streamNamed(ctx, js, s.stream, madeByBridge)
	if err != nil {
		return nil, err
	}
	info := stream.CachedInfo()
	if !slices.ContainsFunc(info.Config.Subjects, func(subject string) bool { return overlap(subject, s.subject) }) {
		return nil, usageError{fmt.Errorf("nothing in stream %s can match %s, it takes %s", s.stream, s.subject, strings.Join(info.Config.Subjects, ", "))}
	}
	// Now is a sequence number. To the server, "new" would begin again with every reconnection before
	// the first event, and what came meanwhile would be lost.
	c := jetstream.OrderedConsumerConfig{FilterSubjects: []string{s.subject}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: info.State.LastSeq + 1}
	if !s.since.IsZero() {
		c.DeliverPolicy, c.OptStartSeq, c.OptStartTime = jetstream.DeliverByStartTimePolicy, 0, &s.since
	}
	consumer, err := stream.OrderedConsumer(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("reading stream %s: %w", s.stream, err)
	}
	return consumer, nil
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
