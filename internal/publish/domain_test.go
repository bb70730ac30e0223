package publish

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// A leaf node and its hub have a stream of the same name in one account, and the hub's is
// configured: the leaf's acknowledgement doesn't count, whether it comes first or alone.
func TestLeafAcknowledges(t *testing.T) {
	t.Parallel()
	leaves := natsdtest.FreeAddr(t)
	hub := natsdtest.Start(t, fmt.Sprintf("server_name: hub, jetstream { domain: hub }, leafnodes { listen: %q }", leaves))
	leaf := natsdtest.Start(t, fmt.Sprintf("server_name: leaf, jetstream { domain: leaf }, leafnodes { remotes: [ { url: %q } ] }", "nats://"+leaves))
	nc := natsdtest.Connect(t, leaf.URL()).Conn()
	streams := make(map[string]jetstream.Stream)
	for _, domain := range []string{"hub", "leaf"} {
		js, err := jetstream.NewWithDomain(nc, domain)
		expect.NoError(t, err)
		streams[domain] = natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}})
	}
	f := open(t, leaf.URL(), withTimeout(time.Second), func(c *Config) { c.Server.Domain = "hub" }).connected()
	for i := range 20 {
		poll.Until(t, "stored in the hub", func() bool { // a busy machine may take longer than the time-out
			_, err := f.publish(fmt.Sprint("hub and leaf ", i))
			return err == nil
		})
	}
	if info, err := streams["hub"].Info(t.Context()); err != nil || info.State.Msgs != 20 {
		t.Errorf("the hub's stream: %+v, %v", info, err)
	}
	hub.Stop()
	answered := 0
	for i := 0; i < 10 || answered == 0 && i < 100; i++ { // a busy machine's answer may take longer than the time-out
		status, err := f.publish(fmt.Sprint("leaf alone ", i))
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("without the hub: got %q, %v, want ErrUnavailable", status, err)
		}
		if CauseOf(err) == WrongStream {
			answered++
		}
	}
	for _, r := range f.PublishAll(t.Context(), []Message{message("from the spool")}) {
		if r.Err == nil {
			t.Errorf("from the spool: %+v", r)
		}
	}
	if info, err := streams["leaf"].Info(t.Context()); err != nil || info.State.Msgs < 20 || answered == 0 {
		t.Errorf("the leaf's stream: %+v, %v; %d answers", info, err, answered)
	}
}

// A service that answers what it receives on the events' subjects doesn't keep them from being
// published.
func TestServiceAnswers(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	nc := natsdtest.Connect(t, s.URL()).Conn()
	answered := make(chan error, 100)
	expect.NoError(t, expect.Err(nc.Subscribe("webhooks.>", func(m *nats.Msg) { answered <- m.Respond([]byte("OK")) })))
	expect.NoError(t, nc.Flush())
	f := open(t, s.URL()).connected()
	for i := range 20 {
		f.stores(fmt.Sprint(i))
		expect.NoError(t, <-answered)
	}
}
