package consumer_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/event/consumer"
)

func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	nc, err := nats.Connect("nats://127.0.0.1:4222", nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true))
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}
	err = consumer.Run(ctx, js, consumer.Options{Durable: "printer"}, func(_ context.Context, m *consumer.Message) error {
		fmt.Println(m.Event.Type, m.Event.ID)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
}

// A point for each accepted invitation, exactly once.
func ExampleStore_Once() {
	var (
		ctx context.Context
		js  jetstream.JetStream
		db  *sql.DB // PostgreSQL, with the table handled_events
	)
	store := consumer.Store{DB: db}
	options := consumer.Options{Durable: "rewards", Filters: []string{"webhooks.*.invitee.accepted"}}
	err := consumer.Run(ctx, js, options, func(ctx context.Context, m *consumer.Message) error {
		if m.Event.Signed != "payload" {
			return consumer.Permanent(errors.New("the event's name isn't signed"))
		}
		first, err := store.Once(ctx, m, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE users SET points = points + 1 WHERE id = $1`, m.Event.UserID)
			return err
		})
		if !first && err == nil {
			log.Print("handled before: ", m.Event.ID)
		}
		return err
	})
	log.Print(err)
}
