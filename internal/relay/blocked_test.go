package relay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// If JetStream doesn't answer, nobody must act. If a right is missing, somebody must, though the check of
// the stream times out in both cases.
func TestBlockedWithoutStream(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rights []string
		want   publish.Cause
	}{
		"JetStream is silent": {[]string{"webhooks.>", "$JS.API.STREAM.INFO.WEBHOOKS"}, publish.TimedOut},
		"a right is missing":  {[]string{"webhooks.>"}, publish.NoStream},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natsdtest.Start(t, fmt.Sprintf(`jetstream: disabled
				authorization { users: [
					{ user: silent, password: silent }
					{ user: bridge, password: bridge, permissions { publish: { allow: ["%s"] }, subscribe: { allow: ["_INBOX.>"] } } }
				] }`, strings.Join(test.rights, `", "`)))
			silent := natsdtest.Connect(t, s.URL(), nats.UserInfo("silent", "silent")).Conn()
			expect.NoError(t, expect.Err(silent.SubscribeSync("$JS.API.>")))
			expect.NoError(t, silent.Flush())
			f := start(t, s.URL(), asBridge)
			f.publishes(publish.Spooled, "a")
			poll.Until(t, "the check has failed", func() bool {
				err := f.Publisher.Ready(publish.Event)
				return err != nil && strings.HasPrefix(err.Error(), "stream WEBHOOKS: ")
			})
			expect.Equal(t, test.want, f.Blocked(publish.Event), "cause")
		})
	}
}

// A stream without a leader is logged if that lasts longer than an election. Another cause is logged at once.
// Each is logged once, also if they alternate.
func TestElectionIsNoAlarm(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	f := newForwarder(&Relay{Config: Config{Log: zap.New(core)}}, publish.Event)
	missing, full := &publish.Error{Cause: publish.NoStream}, &publish.Error{Cause: publish.StreamFull}
	for _, c := range []struct {
		name   string
		lasts  time.Duration
		err    error // nil: a round succeeds
		alarms int
	}{
		{"an election begins", 0, missing, 0},
		{"it lasts", publish.ElectionGrace - time.Second, missing, 0},
		{"it lasts too long", publish.ElectionGrace, missing, 1},
		{"it lasts still longer", publish.ElectionGrace, missing, 1},
		{"the stream is full", 0, full, 2},
		{"in turn", publish.ElectionGrace, missing, 2},
		{"in turn", publish.ElectionGrace, full, 2},
		{"a success", 0, nil, 2},
		{"the next election", 0, missing, 2},
		{"the stream is full", publish.ElectionGrace / 2, full, 3},
		{"in turn, until it lasts too long", publish.ElectionGrace / 2, missing, 4},
	} {
		for _, a := range f.alarms {
			a.since = a.since.Add(-c.lasts)
		}
		if c.err == nil {
			f.endFailures()
		} else {
			f.alarm(c.err)
		}
		expect.Equal(t, c.alarms, logs.FilterMessage(sayAlarm).Len(), "alarms: %s", c.name)
	}
}

// A refusal without a reason keeps the cause of an earlier one only if NATS had no room then.
func TestRefusedWithoutReason(t *testing.T) {
	f := newForwarder(&Relay{Config: Config{Log: zap.NewNop()}}, publish.Event)
	for _, c := range []struct{ before, want publish.Cause }{
		{publish.StreamFull, publish.StreamFull},
		{publish.NoStorage, publish.NoStorage},
		{publish.NoStream, publish.Rejected},
		{publish.WrongStream, publish.Rejected},
	} {
		f.alarm(&publish.Error{Cause: c.before})
		f.alarm(&publish.Error{Cause: publish.Rejected})
		expect.Equal(t, c.want, f.cause.Load().(publish.Cause), "cause after %s", c.before)
	}
}
