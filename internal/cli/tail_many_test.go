package cli

import (
	"bytes"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
)

// counter counts what is written to it, and keeps nothing.
type counter struct{ lines, writes atomic.Int64 }

func (c *counter) Write(text []byte) (int, error) {
	c.lines.Add(int64(bytes.Count(text, []byte("\n"))))
	c.writes.Add(1)
	return len(text), nil
}

// Twenty thousand stored events are printed with few writes, and are not held in memory.
func TestTailMany(t *testing.T) {
	const events = 20_000
	server := natsdtest.Start(t, "jetstream: enabled")
	js, err := jetstream.New(natsdtest.Connect(t, server.URL()).Conn(), jetstream.WithPublishAsyncMaxPending(1000))
	expect.NoError(t, err)
	natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}})
	for i := range events {
		kind := "accepted"
		if i%100 == 0 {
			kind = "visited"
		}
		payload := fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/webhooks/flock","type":"com.withflock.invitee.%[2]s","subject":"invitee/%[1]d","datacontenttype":"application/json","provider":"flock","event":"invitee.%[2]s","entity":"invitee","entityid":"%[1]d","userid":"user_%[3]d","receivedtime":"2026-01-02T03:04:05.000Z","signed":"payload","data":{"name":"invitee.accepted","filler":"%0400[1]d"}}`, i, kind, i%1000)
		expect.NoError(t, expect.Err(js.PublishAsync("webhooks.flock.invitee."+kind, []byte(payload), jetstream.WithStallWait(time.Minute))))
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		t.Fatal("they can't be stored")
	}
	for _, test := range []struct {
		args []string
		want int64
	}{
		{nil, events},
		{[]string{"--json"}, events},
		{[]string{"--user", "user_7"}, events / 1000},
		{[]string{"webhooks.*.invitee.visited"}, events / 100},
	} {
		var out counter
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		if status := run(t.Context(), append([]string{"tail", "--follow=false"}, test.args...), program{[]string{"NATS_URL=" + server.URL()}, nil, &out, t.Output()}); status != exitOK {
			t.Fatalf("exit status %d", status)
		}
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		t.Logf("tail %q: %d of %d events in %s, %d writes, %.1f MiB more from the system", test.args, out.lines.Load(), events, took.Round(time.Millisecond), out.writes.Load(), float64(after.Sys-before.Sys)/(1<<20))
		if out.lines.Load() != test.want || out.writes.Load() > test.want/10+200 {
			t.Errorf("tail %q: %d events in %d writes, want %d in few", test.args, out.lines.Load(), out.writes.Load(), test.want)
		}
	}
}
