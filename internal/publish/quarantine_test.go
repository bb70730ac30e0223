package publish

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// quarantined adds a stream for quarantine.
func quarantined(c *Config) {
	q := c.Stream
	q.Name, q.Prefix, q.DropOldest, q.MaxAge, q.MaxBytes = "WEBHOOKS_QUARANTINE", "webhooks-quarantine", true, 0, 64<<20
	c.Quarantine = &q
}

func (f *fixture) quarantines(id string, want Status) {
	f.t.Helper()
	m := message(id)
	m.Kind, m.Subject = Quarantined, "webhooks-quarantine.flock.stale"
	f.takes(want, m)
}

// Quarantine is a stream of its own, which drops its oldest messages; it has its own ids, too.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL(), quarantined).connected()
	poll.Until(t, "ready", func() bool { return f.Publisher.Ready(Quarantined) == nil })
	stream, err := natsdtest.Connect(t, s.URL()).Stream(t.Context(), "WEBHOOKS_QUARANTINE")
	expect.NoError(t, err)
	c := stream.CachedInfo().Config
	if len(c.Subjects) != 1 || c.Subjects[0] != "webhooks-quarantine.>" || c.Discard != jetstream.DiscardOld || c.MaxBytes != 64<<20 || c.MaxAge != 0 ||
		c.Duplicates != 25*time.Hour || c.Storage != jetstream.FileStorage {
		t.Errorf("made as %+v", c)
	}
	f.stores("a")
	f.quarantines("a", Stored)
	f.quarantines("a", Duplicate)
}
