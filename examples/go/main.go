// Command go consumes the bridge's events and gives each user who accepted an invitation one point.
// To adapt it, replace the function reward.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/event/consumer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "consumer: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	db, err := openStore(ctx, setting("STORE", "rewards.db"))
	if err != nil {
		return fmt.Errorf("opening store: %w", err)
	}
	defer func() { _ = db.Close() }() // every commit is on the disk
	nc, err := connect()
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	options, err := settings()
	if err != nil {
		return err
	}
	// One name for all durables: a replay does only what wasn't done.
	store := consumer.Store{DB: db, Consumer: "rewards"}
	return consumer.Run(ctx, js, options, func(ctx context.Context, m *consumer.Message) error {
		first, err := store.Once(ctx, m, func(tx *sql.Tx) error { return reward(ctx, tx, m) })
		if err == nil {
			slog.Info("handled", "id", m.Event.ID, "first", first, "attempt", m.Attempt)
		}
		return err
	})
}
