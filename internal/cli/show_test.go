package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// While the stream can't be read, show prints why.
func TestShowWaits(t *testing.T) {
	t.Parallel()
	f := newFixture(t, mayPublish, mayLookUp)
	f.put(publish.Message{Subject: "webhooks.flock.a", Data: []byte(anEvent)}, "5e0c")
	_, err := f.js.UpdateStream(t.Context(), jetstream.StreamConfig{
		Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, Duplicates: 65 * time.Minute, AllowDirect: true, MaxConsumers: 1,
	})
	expect.NoError(t, err)
	_, err = f.js.CreateConsumer(t.Context(), "WEBHOOKS", jetstream.ConsumerConfig{Durable: "other"})
	expect.NoError(t, err)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan int, 1)
	var stderr expect.Buffer
	go func() { ended <- run(ctx, []string{"show", "5e0c"}, program{f.environ, nil, io.Discard, &stderr}) }()
	const want = "bridge: reading stream WEBHOOKS: creating consumer: nats: API error: "
	poll.Until(t, "the error is printed", func() bool { return strings.Contains(stderr.String(), want) })
	interrupt()
	expect.Equal(t, exitFailure, <-ended, "exit status")
}

// However many ids begin with the prefix, only the whole id and two others are kept.
func TestNeededIDs(t *testing.T) {
	wanted := needed("5")
	var kept []string
	for i := range 10_000 {
		if id := fmt.Sprint(i); wanted(id) {
			kept = append(kept, id)
		}
	}
	expect.Equal(t, []string{"5", "50", "51"}, kept, "kept")
}

// A mirror has no subjects of its own, and is read like the stream.
func TestTailMirror(t *testing.T) {
	t.Parallel()
	f := newFixture(t, mayPublish, mayReadStream("MIRROR"), []string{"$JS.API.STREAM.INFO.MIRROR"})
	natsdtest.CreateStream(t, f.js, jetstream.StreamConfig{Name: "MIRROR", Mirror: &jetstream.StreamSource{Name: "WEBHOOKS"}})
	f.put(publish.Message{Subject: "webhooks.flock.a", Data: []byte(anEvent)}, "5e0c")
	poll.Until(t, "mirrored", func() bool { return f.count("MIRROR") == 1 })
	f.environ = append(f.environ, "STREAM_NAME=MIRROR")
	out, _ := f.run("", 0, "tail", "--follow=false", "--json")
	expect.Equal(t, anEvent+"\n", out, "what tail prints")
}
