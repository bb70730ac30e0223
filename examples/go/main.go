// Command go is a consumer of the bridge's events as one should be: durable, handling each event once
// by its id, putting aside what it can't handle, ending in order. Take it and put your own effect
// in the place of reward.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

type settings struct {
	NATS    string        `env:"NATS_URL" envDefault:"nats://127.0.0.1:4222"`
	User    string        `env:"NATS_USER"`
	Pass    string        `env:"NATS_PASSWORD"`
	Inbox   string        `env:"NATS_INBOX_PREFIX" envDefault:"_INBOX"` // what an account may allow this user alone
	Stream  string        `env:"STREAM"   envDefault:"WEBHOOKS"`
	Filter  string        `env:"FILTER"   envDefault:"webhooks.*.invitee.accepted"`
	Durable string        `env:"DURABLE"  envDefault:"rewards"`
	Since   time.Time     `env:"SINCE"` // RFC 3339; for a durable that doesn't exist yet
	Store   string        `env:"STORE"    envDefault:"rewards.db"`
	AckWait time.Duration `env:"ACK_WAIT" envDefault:"30s"` // how long a worker may have a message before another gets it
	Tries   uint64        `env:"TRIES"    envDefault:"5"`
	Pause   time.Duration `env:"PAUSE"    envDefault:"1s"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, slog.New(slog.NewJSONHandler(os.Stderr, nil))); err != nil {
		fmt.Fprintf(os.Stderr, "consumer: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger) error {
	c, from, end, err := start(ctx, log)
	if err != nil {
		return err
	}
	defer end()
	return consume(ctx, from, c.handle, log)
}

// start connects; end sends what is still to be sent and closes all.
func start(ctx context.Context, log *slog.Logger) (c *consumer, from jetstream.Consumer, end func(), err error) {
	s, err := env.ParseAs[settings]()
	if err != nil {
		return nil, nil, nil, err
	}
	db, err := openStore(ctx, s.Store)
	if err != nil {
		return nil, nil, nil, err
	}
	nc, err := nats.Connect(s.NATS, nats.Name("example "+s.Durable), nats.UserInfo(s.User, s.Pass), nats.CustomInboxPrefix(s.Inbox), nats.MaxReconnects(-1))
	if err != nil {
		_ = db.db.Close() // nothing was written
		return nil, nil, nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	end = func() {
		_ = nc.Flush() // the last acknowledgements; those that are lost only cost a redelivery
		nc.Close()
		_ = db.db.Close() // every commit is on the disk
	}
	js, err := jetstream.New(nc)
	if err == nil {
		err = makeDeadLetters(ctx, js)
	}
	if err == nil {
		from, err = subscribe(ctx, js, s)
	}
	if err != nil {
		end()
		return nil, nil, nil, err
	}
	log.Info("consuming", "stream", s.Stream, "durable", s.Durable, "filter", s.Filter)
	return &consumer{js: js, durable: s.Durable, store: db, tries: s.Tries, pause: s.Pause, within: s.AckWait, log: log}, from, end, nil
}
