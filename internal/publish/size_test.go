package publish

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// sized returns a message of that size, as the server counts it.
func sized(id string, size int) Message {
	headers := "NATS/1.0\r\n" +
		"Content-Type: application/cloudevents+json; charset=utf-8\r\n" +
		"Nats-Msg-Id: " + id + "\r\n" +
		"Nats-Expected-Stream: WEBHOOKS\r\n" +
		"\r\n"
	m := message(id)
	m.Data = []byte(strings.Repeat("x", size-len(headers)))
	return m
}

// A message of exactly the allowed size is accepted, and one byte more is refused for good, whether
// the limit is known before or not.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	const limit = 5000
	for _, test := range []struct {
		name, conf string
		stream     int32
	}{
		{"max_payload", "max_payload: 5000", -1},
		{"max_msg_size", "", limit},
		{"both", "max_payload: 9000", limit},
		{"both, the other way round", "max_payload: 5000", 9000},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := natsdtest.Start(t, test.conf)
			natsdtest.CreateStream(t, natsdtest.Connect(t, s.URL()), jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, MaxMsgSize: test.stream})
			f := open(t, s.URL()).connected()
			f.monitors[Event].limit.Store(0)
			for _, known := range []bool{false, true} { // nats.go and the server have the same limits
				if known {
					f.monitors[Event].check()
					poll.Until(t, "the limit is known", func() bool { return f.monitors[Event].limit.Load() == limit })
				}
				f.takes(Stored, sized(fmt.Sprint("fits ", known), limit))
				_, err := f.Publish(t.Context(), sized(fmt.Sprint("doesn't ", known), limit+1))
				if !errors.Is(err, ErrTooLarge) {
					t.Errorf("known %t, %d bytes: %v", known, limit+1, err)
				}
				if is := strings.Contains(fmt.Sprint(err), "message of 5001 bytes, at most 5000 are allowed"); is != known {
					t.Errorf("known %t, %d bytes: %v", known, limit+1, err)
				}
			}
			f.stores("small")
		})
	}
}

// The log says at once, not only when an event is lost, that MAX_BODY_BYTES is more than a message takes.
func TestLimitBelowLargest(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "max_payload: 5000")
	for largest, warnings := range map[int64]int{5000: 0, 5001: 1} {
		f := open(t, s.URL(), func(c *Config) { c.Largest = largest }).connected()
		expect.Equal(t, warnings, f.logged("a delivery of MAX_BODY_BYTES doesn't fit in a message and would be answered 413: "+
			"lower MAX_BODY_BYTES, or raise NATS' max_payload (the embedded server's is fixed: set NATS_URL) and the stream's max_msg_size and max_bytes"), "warnings")
	}
}

// A changed limit becomes known: a lower one by the server's refusal, a higher one after our own first
// refusal.
func TestLimitChanges(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL()).connected()
	js := natsdtest.Connect(t, s.URL())
	set := func(limit int32) {
		t.Helper()
		config := f.config.Stream.Config()
		config.MaxMsgSize = limit
		expect.NoError(t, expect.Err(js.UpdateStream(t.Context(), config)))
	}
	publish := func(id string) error {
		_, err := f.Publish(t.Context(), sized(id, 5000))
		return err
	}
	set(4999)
	var api *jetstream.APIError
	if err := publish("1"); !errors.Is(err, ErrTooLarge) || !errors.As(err, &api) || api.ErrorCode != 10054 {
		t.Errorf("lowered: %v", err)
	}
	poll.Until(t, "the lower limit is known", func() bool { return f.monitors[Event].limit.Load() == 4999 })
	set(5000)
	expect.ErrorIs(t, ErrTooLarge, publish("1"), "raised, but not known yet")
	poll.Until(t, "the higher limit is known", func() bool { return f.monitors[Event].limit.Load() == 5000 })
	if err := publish("1"); err != nil {
		t.Errorf("raised: %v", err)
	}
}

// A server doesn't announce that its limit was raised by a reload. It is asked at the first message
// that is too large, and not at each one.
func TestMaxPayloadIsRaised(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "max_payload: 4000")
	f := open(t, s.URL()).connected()
	refuse := func() {
		t.Helper()
		expect.ErrorIs(t, ErrTooLarge, expect.Err(f.Publish(t.Context(), sized("1", 5000))), "the error")
	}
	s.Reload("max_payload: 10000")
	refuse()
	poll.Until(t, "the higher limit is known", func() bool {
		if f.logged("can't find out whether the server's max_payload was raised") > 0 { // a busy machine was too slow
			_, _ = f.Publish(t.Context(), sized("asks", 5000)) // it is asked at the next one
		}
		return f.monitors[Event].limit.Load() == 10_000
	})
	f.connected()
	f.takes(Stored, sized("1", 5000))
	f.stores("small")
	expect.Equal(t, 2, f.logs.FilterMessage("connected to NATS").Len(), "how often it connected")
}
