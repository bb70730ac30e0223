package publish

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// taken returns the outcome, which must be there.
func taken(t *testing.T, w *wait) outcome {
	t.Helper()
	select {
	case o := <-w.done:
		return o
	default:
		t.Fatal("there is no outcome")
		return outcome{}
	}
}

// Each message has the time-out's time, however many began before and after it, and one that has its
// outcome takes none from another.
func TestAcksExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAcks(time.Second)
		var began []*wait
		for n := range 5 {
			number, w := a.begin()
			began = append(began, w)
			if n == 2 {
				a.settle(number, outcome{duplicate: true})
			}
			time.Sleep(300 * time.Millisecond)
		}
		// 1.5 s after the first: those of 0 s and 0.3 s are over, that of 0.6 s has another outcome.
		for n, want := range []outcome{{err: jetstream.ErrAsyncPublishTimeout}, {err: jetstream.ErrAsyncPublishTimeout}, {duplicate: true}} {
			if got := taken(t, began[n]); !cmp.Equal(got, want, cmp.AllowUnexported(outcome{}), cmpopts.EquateErrors()) {
				t.Errorf("message %d: %+v", n, got)
			}
		}
		if n := a.pending(); n != 2 {
			t.Errorf("%d wait, want 2", n)
		}
		complete := a.complete()
		for n, after := range []time.Duration{400 * time.Millisecond, 300 * time.Millisecond} {
			start := time.Now()
			if got := <-began[3+n].done; !errors.Is(got.err, jetstream.ErrAsyncPublishTimeout) || time.Since(start) != after {
				t.Errorf("message %d: %+v after %s", 3+n, got, time.Since(start))
			}
			if n == 0 {
				select {
				case <-complete:
					t.Error("complete while one waits")
				default:
				}
			}
		}
		<-complete
		<-a.complete() // at once
		time.Sleep(time.Hour)
		_, w := a.begin() // the timer runs again
		start := time.Now()
		if got := <-w.done; time.Since(start) != time.Second {
			t.Errorf("%+v after %s", got, time.Since(start))
		}
	})
}

// A message has one outcome: what comes later, an acknowledgement after a time-out above all, reaches
// neither it nor the message that waits in the same place now.
func TestAcksSettleOnce(t *testing.T) {
	t.Parallel()
	a := newAcks(time.Hour)
	number, w := a.begin()
	a.fail(nats.ErrDisconnected)
	if got := taken(t, w); !errors.Is(got.err, nats.ErrDisconnected) {
		t.Errorf("%+v", got)
	}
	a.spare.Put(w)
	other, again := a.begin()
	a.settle(number, outcome{})
	if len(again.done) > 0 || !a.isWaiting(other) || a.isWaiting(number) {
		t.Error("another message's outcome was taken")
	}
	a.settle(other, outcome{})
	if got := taken(t, again); got != (outcome{}) {
		t.Errorf("%+v", got)
	}
}

func TestReadAck(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]outcome{
		`{"stream":"WEBHOOKS","seq":1}`:                                {},
		`{"stream":"WEBHOOKS","seq":18446744073709551615}`:             {},
		`{"stream":"WEBHOOKS", "seq":1}`:                               {}, // as older servers write it
		`{"stream":"WEBHOOKS","domain":"leaf","seq":1}`:                {},
		`{"stream":"WEBHOOKS","seq":1,"duplicate":true}`:               {duplicate: true},
		`{"stream":"WEBHOOKS","seq":1,"duplicate":false}`:              {},
		`{"stream":"","seq":1}`:                                        {err: jetstream.ErrInvalidJSAck},
		`{"seq":1}`:                                                    {err: jetstream.ErrInvalidJSAck},
		`{"stream":"WEBHOOKS","seq":}`:                                 {err: jetstream.ErrInvalidJSAck},
		`{"stream":"WEBHOOKS","seq":1`:                                 {err: jetstream.ErrInvalidJSAck},
		`{"stream":"A","error":{"err_code":10077},"x":"B","seq":1}`:    {err: &jetstream.APIError{ErrorCode: 10077}},
		`{"stream":"WEBHOOKS","seq":1,"error":{"err_code":10060}}`:     {err: &jetstream.APIError{ErrorCode: 10060}},
		`{"error":{"code":503,"err_code":10077},"stream":"X","seq":0}`: {err: &jetstream.APIError{ErrorCode: 10077}},
		``:   {err: jetstream.ErrInvalidJSAck},
		`{}`: {err: jetstream.ErrInvalidJSAck},
	} {
		got := readAck(&nats.Msg{Data: []byte(text)})
		if got.duplicate != want.duplicate || !errors.Is(got.err, want.err) {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	nobody := &nats.Msg{Header: nats.Header{"Status": {"503"}}}
	if got := readAck(nobody); !errors.Is(got.err, jetstream.ErrNoStreamResponse) {
		t.Errorf("nobody answers: %+v", got)
	}
}

func TestReceive(t *testing.T) {
	t.Parallel()
	a := newAcks(time.Hour)
	const inbox = "_INBOX.abc"
	sub := &nats.Subscription{Subject: inbox + ".*"}
	for n := range uint64(100) {
		number, w := a.begin()
		for _, other := range []string{inbox + ".x-y", inbox + ".", replyTo(inbox, number+1)} {
			a.receive(&nats.Msg{Subject: other, Sub: sub})
		}
		if reply := replyTo(inbox, number); number != n || strings.Count(reply, ".") != 2 {
			t.Fatalf("message %d: %d on %s", n, number, reply)
		}
		a.receive(&nats.Msg{Subject: replyTo(inbox, number), Sub: sub, Data: []byte(`{"stream":"S","seq":7}`)})
		if got := taken(t, w); got.err != nil {
			t.Errorf("message %d: %v", n, got.err)
		}
	}
}
