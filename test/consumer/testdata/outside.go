// A consumer for .ci/outside: it prints as many events as it is told to, and ends.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/event/consumer"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(url, count string) error {
	wanted, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	return consumer.Run(ctx, js, consumer.Options{Durable: "outside"}, func(_ context.Context, m *consumer.Message) error {
		fmt.Println(m.Event.Event, m.Event.ID)
		if wanted--; wanted == 0 {
			stop()
		}
		return nil
	})
}
