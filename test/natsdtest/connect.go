package natsdtest

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// Connect returns JetStream over a connection that comes back whenever its server does, and that is
// closed with the test.
func Connect(t testing.TB, url string, options ...nats.Option) jetstream.JetStream {
	t.Helper()
	options = append([]nats.Option{nats.Timeout(time.Minute), nats.MaxReconnects(-1), nats.ReconnectWait(10 * time.Millisecond)}, options...)
	nc, err := nats.Connect(url, options...)
	expect.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(20*time.Second)) // a busy server may be slow
	expect.NoError(t, err)
	return js
}
