package quarantine

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// header returns a message's header as a NATS client does.
func header(m publish.Message) func(string) string {
	return func(name string) string {
		for _, h := range m.Headers {
			if h.Name == name {
				return h.Value
			}
		}
		return ""
	}
}

// A delivery is read as it was kept, to the byte and the nanosecond.
func TestRoundTrip(t *testing.T) {
	d := Delivery{
		ID: "5e0c", Endpoint: "flock-eu", Provider: "flock", Reason: "stale", Received: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		Seal: strings.Repeat("0f", 32), Body: []byte("{\"a\": \"\u2028\xff\n\"} "),
	}
	m := d.Message("hooks.eu")
	if m.Kind != publish.Refused || m.Subject != "hooks.eu-quarantine.flock-eu.stale" {
		t.Errorf("the message: got the kind %v on %s, want refused, on the endpoint's subject", m.Kind, m.Subject)
	}
	got, err := Parse(header(m), m.Data)
	if diff := cmp.Diff(d, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	// A local time is the same moment.
	d.Received = d.Received.In(time.FixedZone("", 3600))
	if got, err := Parse(header(d.Message("hooks")), nil); err != nil || !got.Received.Equal(d.Received) {
		t.Errorf("%v, %s, want %s", err, got.Received, d.Received)
	}
}

func TestParseForeign(t *testing.T) {
	whole := Delivery{ID: "5e0c", Endpoint: "flock", Provider: "flock", Reason: "stale", Received: time.Unix(1, 0), Seal: "0f"}.Message("webhooks")
	for _, name := range []string{idHeader, endpointHeader, providerHeader, reasonHeader, receivedHeader, sealHeader} {
		without := func(asked string) string {
			if asked == name {
				return ""
			}
			return header(whole)(asked)
		}
		if d, err := Parse(without, nil); err == nil {
			t.Errorf("without %s: %+v", name, d)
		}
	}
	// Commands that the page shows have the id, and people copy them into a shell.
	for _, id := range []string{"5e0c;true", "--all", "5e 0c", "$(true)", "5e0c\n"} {
		strange := func(asked string) string {
			if asked == idHeader {
				return id
			}
			return header(whole)(asked)
		}
		if d, err := Parse(strange, nil); err == nil {
			t.Errorf("the id %q: %+v", id, d)
		}
	}
	// A time that JSON can't write would make a list of deliveries unreadable.
	for _, received := range []string{"2026-01-02T03:04:05+24:00", "10000-01-01T00:00:00Z", "yesterday"} {
		strange := func(asked string) string {
			if asked == receivedHeader {
				return received
			}
			return header(whole)(asked)
		}
		if d, err := Parse(strange, nil); err == nil {
			t.Errorf("received at %s: %+v", received, d)
		}
	}
}

// A delivery answered 200 has the id of the signed text. A refused one has another id, so that the stream
// doesn't take it for a copy; the id doesn't depend on the reason.
func TestMessageID(t *testing.T) {
	id := func(reason string) string {
		return Delivery{ID: "5e0c", Endpoint: "flock", Provider: "flock", Reason: reason}.Message("webhooks").ID
	}
	expect.Equal(t, "5e0c", id(Unreadable), "the id of an unreadable delivery")
	if stale, future := id("stale"), id("future"); stale != future || len(stale) != 32 || stale == "5e0c" {
		t.Errorf("stale %s, future %s", stale, future)
	}
}
