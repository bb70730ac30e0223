package publish

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/secret"
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
	if status, err := f.Publish(f.t.Context(), m); status != want || err != nil {
		f.t.Fatalf("quarantining %s: %q, %v", id, status, err)
	}
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

// If the quarantine's stream can't be used, the log names it, and events are stored all the same.
func TestRightsOfQuarantine(t *testing.T) {
	t.Parallel()
	all := []string{"webhooks.>", "$JS.API.STREAM.INFO.WEBHOOKS", "webhooks-quarantine.>", "$JS.API.STREAM.INFO.WEBHOOKS_QUARANTINE"}
	for missing, said := range map[string]string{
		"":                      "",
		"webhooks-quarantine.>": `permissions violation for publish to "webhooks-quarantine.flock.stale"`,
		"$JS.API.STREAM.INFO.WEBHOOKS_QUARANTINE": `permissions violation for publish to "$js.api.stream.info.webhooks_quarantine"`,
	} {
		t.Run(missing, func(t *testing.T) {
			t.Parallel()
			var rights []string
			for _, right := range all {
				if right != missing {
					rights = append(rights, right)
				}
			}
			s := natsdtest.Start(t, account(rights, []string{"_INBOX.>"}))
			js := natsdtest.Connect(t, s.URL(), nats.UserInfo("operator", "operator"))
			for _, stream := range []Stream{{Name: "WEBHOOKS", Prefix: "webhooks"}, {Name: "WEBHOOKS_QUARANTINE", Prefix: "webhooks-quarantine", DropOldest: true}} {
				natsdtest.CreateStream(t, js, stream.Config())
			}
			f := open(t, s.URL(), quarantined, func(c *Config) {
				c.Stream.Manage, c.Quarantine.Manage = false, false
				c.Server.User, c.Server.Password = "bridge", secret.New("bridge")
				c.Timeout /= 20
			}).connected()
			f.stores("a")
			if missing == "" {
				poll.Until(t, "ready", func() bool { return f.Publisher.Ready(Quarantined) == nil })
				f.quarantines("a", Stored)
				if n := f.flood("refused", 1, 10); n != 1 { // asking how full it is takes no further right
					t.Errorf("%d kept of what was refused", n)
				}
				return
			}
			m := message("q")
			m.Kind, m.Subject = Quarantined, "webhooks-quarantine.flock.stale"
			_, err := f.Publish(t.Context(), m)
			if cause := CauseOf(err); strings.HasPrefix(missing, "webhooks") && cause != Forbidden {
				t.Errorf("cause %q: %v", cause, err)
			}
			poll.Until(t, "said", func() bool {
				for _, entry := range f.logs.FilterMessage(sayForbidden).All() {
					if text, ok := entry.ContextMap()["error"].(string); ok && strings.Contains(strings.ToLower(text), said) {
						return true
					}
				}
				return false
			})
		})
	}
}
