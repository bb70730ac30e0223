package publish

import (
	"context"
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
		a := newAcks("d", time.Second, "")
		var began []*wait
		for n := range 5 {
			number, w := a.begin(message("1"), "S", time.Time{})
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
		if n := a.waiting(); n != 2 {
			t.Errorf("%d wait, want 2", n)
		}
		for n, after := range []time.Duration{400 * time.Millisecond, 300 * time.Millisecond} {
			start := time.Now()
			if got := <-began[3+n].done; !errors.Is(got.err, jetstream.ErrAsyncPublishTimeout) || time.Since(start) != after {
				t.Errorf("message %d: %+v after %s", 3+n, got, time.Since(start))
			}
			if left := a.waiting(); left != 1-n {
				t.Errorf("%d wait, want %d", left, 1-n)
			}
		}
		time.Sleep(time.Hour)
		_, w := a.begin(message("1"), "S", time.Time{}) // the timer runs again
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
	a := newAcks("d", time.Hour, "")
	number, w := a.begin(message("1"), "S", time.Time{})
	a.fail(nats.ErrDisconnected)
	if got := taken(t, w); !errors.Is(got.err, nats.ErrDisconnected) {
		t.Errorf("%+v", got)
	}
	a.spare.Put(w)
	other, again := a.begin(message("1"), "S", time.Time{})
	a.settle(number, outcome{})
	if len(again.done) > 0 || !a.isWaiting(other) || a.isWaiting(number) {
		t.Error("another message's outcome was taken")
	}
	a.settle(other, outcome{})
	if got := taken(t, again); got.err != nil || got.duplicate {
		t.Errorf("%+v", got)
	}
}

func TestReadAck(t *testing.T) {
	t.Parallel()
	ours := []byte("WEBHOOKS")
	for text, want := range map[string]ack{
		`{"stream":"WEBHOOKS","seq":1}`:                                {stream: ours},
		`{"stream":"WEBHOOKS","seq":18446744073709551615}`:             {stream: ours},
		`{"stream":"WEBHOOKS", "seq":1}`:                               {stream: ours}, // as older servers write it
		`{"stream":"WEBHOOKS","domain":"leaf","seq":1}`:                {stream: ours, domain: "leaf"},
		`{"stream":"WEBHOOKS","seq":1,"duplicate":true}`:               {stream: ours, duplicate: true},
		`{"stream":"WEBHOOKS","seq":1,"duplicate":false}`:              {stream: ours},
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
		if string(got.stream) != string(want.stream) || got.domain != want.domain || got.duplicate != want.duplicate || !errors.Is(got.err, want.err) {
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
	p := &Publisher{direct: newAcks("d", time.Hour, ""), spooled: newAcks("s", time.Hour, "")}
	const inbox = "_INBOX.abc"
	sub := &nats.Subscription{Subject: inbox + ".*"}
	for n := range uint64(100) {
		a, b := p.direct, p.spooled
		if n%2 == 1 {
			a, b = b, a
		}
		number, w := a.begin(message("1"), "S", time.Time{})
		for _, other := range []string{inbox + ".x-y", inbox + ".", inbox + ".d", a.replyTo(inbox, number+1), b.replyTo(inbox, number)} {
			p.receive(&nats.Msg{Subject: other, Sub: sub})
		}
		reply := a.replyTo(inbox, number)
		if strings.Count(reply, ".") != 2 {
			t.Fatalf("message %d: %d on %s", n, number, reply)
		}
		p.receive(&nats.Msg{Subject: reply, Sub: sub, Data: []byte(`{"stream":"S","seq":7}`)})
		if got := taken(t, w); got.err != nil {
			t.Errorf("message %d: %v", n, got.err)
		}
	}
}

// An acknowledgement that comes after its caller has given up, for whatever reason, still tells that the
// message is stored; but not for ever.
func TestLateAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAcks("d", time.Second, "")
		var late []string
		a.late = func(l LateAck) { late = append(late, l.ID) }
		timedOut, w := a.begin(message("timed out"), "S", time.Time{})
		tooLate, _ := a.begin(message("too late"), "S", time.Time{})
		refused, _ := a.begin(message("refused"), "S", time.Time{})
		time.Sleep(2 * time.Second)
		if got := taken(t, w); !errors.Is(got.err, jetstream.ErrAsyncPublishTimeout) {
			t.Errorf("%+v", got)
		}
		lost, _ := a.begin(message("disconnected"), "S", time.Time{})
		a.fail(nats.ErrDisconnected)
		abandoned, _ := a.begin(message("abandoned"), "S", time.Time{})
		a.abandon(abandoned, context.Canceled)
		time.Sleep(2 * time.Second)
		for _, number := range []uint64{timedOut, lost, abandoned, timedOut} {
			a.receive(number, ack{stream: []byte("S")})
		}
		a.receive(refused, ack{err: &jetstream.APIError{ErrorCode: 10077}})
		if diff := cmp.Diff([]string{"timed out", "disconnected", "abandoned"}, late); diff != "" {
			t.Errorf("late (-want +got):\n%s", diff)
		}
		time.Sleep(lateFor + time.Second)
		a.receive(tooLate, ack{stream: []byte("S")})
		if len(late) != 3 || len(a.pending) != 0 {
			t.Errorf("%v, %d are kept", late, len(a.pending))
		}
		_, w = a.begin(message("next"), "S", time.Time{}) // its time is its own, not that of what is dropped later
		start := time.Now()
		if got := <-w.done; time.Since(start) != time.Second {
			t.Errorf("%+v after %s", got, time.Since(start))
		}
	})
}

// What another stream, or with a domain another domain, acknowledges doesn't count, and says why there is no
// acknowledgement; an error, which names no domain, waits for the right one's a little.
func TestForeignAcks(t *testing.T) {
	for name, test := range map[string]struct {
		domain string
		first  ack
		then   *ack
		want   Cause // "": stored
		after  time.Duration
	}{
		"another stream":                    {"", ack{stream: []byte("T")}, nil, WrongStream, time.Second},
		"another domain":                    {"hub", ack{stream: []byte("S"), domain: "leaf"}, nil, WrongStream, time.Second},
		"no domain":                         {"hub", ack{stream: []byte("S")}, nil, WrongStream, time.Second},
		"another domain, then the right":    {"hub", ack{stream: []byte("S"), domain: "leaf"}, &ack{stream: []byte("S"), domain: "hub"}, "", 0},
		"any domain will do":                {"", ack{stream: []byte("S"), domain: "leaf"}, nil, "", 0},
		"an error with a domain":            {"hub", ack{err: &jetstream.APIError{ErrorCode: 10060}, isRefusal: true}, nil, WrongStream, domainGrace},
		"an error with a domain, then none": {"hub", ack{err: &jetstream.APIError{ErrorCode: 10060}, isRefusal: true}, &ack{stream: []byte("S"), domain: "hub"}, "", 0},
		"an error without a domain":         {"", ack{err: &jetstream.APIError{ErrorCode: 10047}, isRefusal: true}, nil, NoStorage, 0},
		"another stream's error":            {"", ack{err: &jetstream.APIError{ErrorCode: 10060}, isRefusal: true}, &ack{stream: []byte("S")}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAcks("d", time.Second, test.domain)
				number, w := a.begin(message("1"), "S", time.Time{})
				a.receive(number, test.first)
				if test.then != nil {
					a.receive(number, *test.then)
				}
				start := time.Now()
				o := <-w.done
				cause := Cause("")
				if o.err != nil {
					cause, _ = meaning(o.err)
				}
				if cause != test.want || time.Since(start) != test.after {
					t.Errorf("%q after %s: %v", cause, time.Since(start), o.err)
				}
				time.Sleep(time.Minute) // nothing comes twice
			})
		})
	}
}
