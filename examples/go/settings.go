package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ade15e70/webhook-bridge/event/consumer"
)

// setting returns a variable of the environment, or its default.
func setting(name, fallback string) string { return cmp.Or(os.Getenv(name), fallback) }

func settings() (o consumer.Options, err error) {
	o = consumer.Options{
		Durable:        setting("DURABLE", "rewards"),
		Stream:         os.Getenv("STREAM"),
		Filters:        strings.Fields(setting("FILTER", "webhooks.*.invitee.accepted")),
		MakeDeadStream: os.Getenv("MAKE_DEAD_STREAM") != "false",
	}
	if since := os.Getenv("SINCE"); since != "" {
		if o.Since, err = time.Parse(time.RFC3339, since); err != nil {
			err = fmt.Errorf("SINCE is %q: give a time such as 2026-11-24T19:00:00Z", since)
		}
	}
	return o, err
}

// connect connects as the variables of the nats command say.
func connect() (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name(setting("DURABLE", "rewards")), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { slog.Warn("connecting to NATS failed, trying again", "error", err) }),
		nats.UserInfo(os.Getenv("NATS_USER"), os.Getenv("NATS_PASSWORD")),
		nats.CustomInboxPrefix(setting("NATS_INBOX_PREFIX", "_INBOX")),
	}
	if file := os.Getenv("NATS_CREDS"); file != "" {
		options = append(options, nats.UserCredentials(file))
	}
	if file := os.Getenv("NATS_NKEY"); file != "" {
		key, err := nats.NkeyOptionFromSeed(file)
		if err != nil {
			return nil, fmt.Errorf("NATS_NKEY: %w", err)
		}
		options = append(options, key)
	}
	if file := os.Getenv("NATS_CA"); file != "" {
		options = append(options, nats.RootCAs(file))
	}
	if cert, key := os.Getenv("NATS_CERT"), os.Getenv("NATS_KEY"); cert != "" || key != "" {
		options = append(options, nats.ClientCert(cert, key))
	}
	return nats.Connect(setting("NATS_URL", nats.DefaultURL), options...)
}
