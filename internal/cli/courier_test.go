package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

type writerFunc func(text []byte)

func (f writerFunc) Write(text []byte) (int, error) {
	f(text)
	return len(text), nil
}

// What can't be stored because NATS is away for a moment is tried again, and stored in its order.
func TestCourierReconnects(t *testing.T) {
	t.Parallel()
	o := operate(t, mayPublish)
	cfg, err := load(o.environ, usedByDrain)
	if err != nil {
		t.Fatal(err)
	}
	c, err := openCourier(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	o.server.Stop()
	told := ""
	c.reconnect = time.Millisecond
	c.words = writerFunc(func(text []byte) {
		told += string(text)
		c.reconnect = time.Minute
		o.server.Start()
	})
	var messages []publish.Message
	for i := range 10 {
		messages = append(messages, publish.Message{Subject: "webhooks.flock.a", ID: fmt.Sprint(i), Data: []byte("{}")})
	}
	for i, result := range c.deliver(t.Context(), messages) {
		if result.Status != publish.Stored || result.Err != nil {
			t.Errorf("%d: %v %v", i, result.Status, result.Err)
		}
	}
	if n := o.count("WEBHOOKS"); n != 10 || !strings.HasPrefix(told, "bridge: 10 of 10 messages could not be stored yet, trying again: ") {
		t.Errorf("%d are stored; told %q", n, told)
	}
}

// Where the environment has no endpoint nothing is taken to be remembered.
func TestReach(t *testing.T) {
	cfg, err := load([]string{"FLOCK_SECRETS=x"}, usedByDrain)
	if err != nil {
		t.Fatal(err)
	}
	if got := reachOf(cfg, 65*time.Minute); got != 10*time.Minute {
		t.Errorf("with an endpoint %s", got)
	}
	if cfg, err = load(nil, usedByDrain); err != nil {
		t.Fatal(err)
	}
	for window, want := range map[time.Duration]time.Duration{0: 24*time.Hour + 5*time.Minute, time.Hour: 24*time.Hour + 5*time.Minute, 25 * time.Hour: 50 * time.Hour} {
		if got := reachOf(cfg, window); got != want {
			t.Errorf("with none, and a window of %s: %s, want %s", window, got, want)
		}
	}
}
