package ingest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// holder is a publisher that keeps all messages, as the spool does for a while.
type holder struct{ messages []publish.Message }

func (h *holder) Publish(_ context.Context, _ time.Time, m publish.Message) (publish.Status, error) {
	h.messages = append(h.messages, m)
	return publish.Stored, nil
}

// A message isn't changed by later deliveries, although these use the block of an earlier body.
func TestMessagesOutliveTheirBodies(t *testing.T) {
	kept := &holder{}
	p := newPublic(t, func(c *Config) { c.Publisher, c.Quarantine = kept, true })
	var want []string
	send := func(at time.Time, id string) {
		body, header := signedBodyAt(at, id, "")
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/flock", strings.NewReader(body))
		_, signature, _ := strings.Cut(header, ": ")
		r.Header.Set("X-Flock-Signature", signature)
		p.handle(r)
		want = append(want, body)
	}
	for i := range 100 {
		send(began, string(rune('a'+i%26)))
		send(began.Add(-24*time.Hour), string(rune('A'+i%26))) // for quarantine
	}
	expect.Equal(t, len(want), len(kept.messages), "messages")
	for i, m := range kept.messages {
		if !strings.Contains(string(m.Data), want[i]) {
			t.Fatalf("message %d is %s, want %s in it", i, m.Data, want[i])
		}
	}
}
