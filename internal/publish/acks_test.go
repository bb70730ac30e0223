package publish

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// taken returns the result, which must have arrived.
func taken(t *testing.T, w *awaited) Result {
	t.Helper()
	select {
	case o := <-w.done:
		return o
	default:
		t.Fatal("there is no result")
		return Result{}
	}
}

// begun registers a message with a time-out of one second.
func begun(a *acks, id string) *awaited { return a.begin(message(id), "S", Place{}, time.Second) }

// Each message has the whole time-out, regardless of others that began before or after it, or that
// have their result.
func TestAcksExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAcks("")
		var began []*awaited
		for n := range 5 {
			w := begun(a, "1")
			began = append(began, w)
			if n == 2 {
				a.settle(w, Result{Status: Duplicate})
			}
			time.Sleep(300 * time.Millisecond)
		}
		// 1.5 s after the first: those of 0 s and 0.3 s are over, that of 0.6 s has another
		// result.
		for n, want := range []Result{{Err: jetstream.ErrAsyncPublishTimeout}, {Err: jetstream.ErrAsyncPublishTimeout}, {Status: Duplicate}} {
			if got := taken(t, began[n]); !cmp.Equal(got, want, cmpopts.EquateErrors()) {
				t.Errorf("message %d: %+v", n, got)
			}
		}
		expect.Equal(t, 2, a.waiting(), "messages that wait")
		for n, after := range []time.Duration{400 * time.Millisecond, 300 * time.Millisecond} {
			start := time.Now()
			if got := <-began[3+n].done; !errors.Is(got.Err, jetstream.ErrAsyncPublishTimeout) || time.Since(start) != after {
				t.Errorf("message %d: %+v after %s", 3+n, got, time.Since(start))
			}
			expect.Equal(t, 1-n, a.waiting(), "messages that wait")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		expect.Equal(t, 0, len(a.pending), "messages kept")
	})
}

// A message has one result: a later acknowledgement doesn't reach it.
func TestAcksSettleOnce(t *testing.T) {
	t.Parallel()
	a := newAcks("")
	w, other := begun(a, "1"), begun(a, "2")
	a.fail(nats.ErrDisconnected)
	if got := taken(t, w); !errors.Is(got.Err, nats.ErrDisconnected) || a.isWaiting(w) {
		t.Errorf("got %+v, want nats.ErrDisconnected, and that it waits no more", got)
	}
	a.giveUp(w, context.Canceled)
	a.settle(w, Result{})
	a.settle(w, Result{})
	if len(w.done) > 0 || len(other.done) != 1 {
		t.Error("there is another result")
	}
	third := begun(a, "3")
	a.settle(third, Result{})
	a.settle(third, Result{Status: Duplicate})
	a.fail(nats.ErrDisconnected)
	if got := taken(t, third); got.Err != nil || got.Status == Duplicate || len(third.done) > 0 {
		t.Errorf("got %+v, want one result, without an error", got)
	}
}

func TestReadAck(t *testing.T) {
	t.Parallel()
	const ours = "WEBHOOKS"
	for text, want := range map[string]ack{
		`{"stream":"WEBHOOKS","seq":1}`:                                {stream: ours, sequence: 1},
		`{"stream":"WEBHOOKS","seq":18446744073709551615}`:             {stream: ours, sequence: math.MaxUint64},
		`{"stream":"WEBHOOKS", "seq":1}`:                               {stream: ours, sequence: 1}, // as older servers write it
		`{"stream":"WEBHOOKS","domain":"leaf","seq":1}`:                {stream: ours, sequence: 1, domain: "leaf"},
		`{"stream":"WEBHOOKS","seq":1,"duplicate":true}`:               {stream: ours, sequence: 1, duplicate: true},
		`{"stream":"WEBHOOKS","seq":1,"duplicate":false}`:              {stream: ours, sequence: 1},
		`{"stream":"WEBHOOKS", "seq":0,"duplicate": true}`:             {err: errInProcess}, // 2.10.29: not committed yet, and perhaps never
		`{"stream":"WEBHOOKS","seq":0}`:                                {err: errInProcess},
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
		if got.stream != want.stream || got.sequence != want.sequence || got.domain != want.domain || got.duplicate != want.duplicate || !errors.Is(got.err, want.err) {
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
	p := &Publisher{acks: newAcks("")}
	const inbox = "_INBOX.abc"
	for n := range 100 {
		w := p.acks.begin(message("1"), "S", Place{}, time.Hour)
		for _, other := range []string{inbox + ".x-y", inbox + ".", replyTo(inbox, w.number+1)} {
			p.receive(&nats.Msg{Subject: other})
		}
		reply := replyTo(inbox, w.number)
		if strings.Count(reply, ".") != 2 {
			t.Fatalf("message %d: on %s", n, reply)
		}
		p.receive(&nats.Msg{Subject: reply, Data: []byte(`{"stream":"S","seq":7}`)})
		if got := taken(t, w); got.Err != nil {
			t.Errorf("message %d: %v", n, got.Err)
		}
	}
}

// An acknowledgement that comes after its caller has given up, for any reason, still reports that
// the message is stored; but not for ever.
func TestLateAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAcks("")
		var late []string
		a.late = func(d Delivery, at Place) {
			late = append(late, d.ID)
			expect.Equal(t, 7, at.Sequence, "sequence number")
		}
		timedOut := begun(a, "timed out")
		tooLate := begun(a, "too late")
		refused := begun(a, "refused")
		time.Sleep(2 * time.Second)
		if got := taken(t, timedOut); !errors.Is(got.Err, jetstream.ErrAsyncPublishTimeout) {
			t.Errorf("got %+v, want a time-out", got)
		}
		lost := begun(a, "disconnected")
		a.fail(nats.ErrDisconnected)
		abandoned := begun(a, "abandoned")
		a.giveUp(abandoned, context.Canceled)
		time.Sleep(2 * time.Second)
		for _, w := range []*awaited{timedOut, lost, abandoned, timedOut} {
			a.receive(w.number, ack{stream: "S", sequence: 7})
		}
		a.receive(refused.number, ack{err: &jetstream.APIError{ErrorCode: 10077}})
		expect.Equal(t, []string{"timed out", "disconnected", "abandoned"}, late, "late")
		time.Sleep(lateFor + time.Second)
		a.receive(tooLate.number, ack{stream: "S"})
		if len(late) != 3 || len(a.pending) != 0 {
			t.Errorf("%v, %d are kept", late, len(a.pending))
		}
	})
}

// An acknowledgement of another stream, or with a domain of another domain, doesn't count, and the
// error says so. An error names no domain, so it waits a little for the right domain's answer.
func TestForeignAcks(t *testing.T) {
	for name, test := range map[string]struct {
		domain string
		first  ack
		then   *ack
		want   Cause // "": stored
		after  time.Duration
	}{
		"another stream":                    {"", ack{stream: "T"}, nil, WrongStream, time.Second},
		"another domain":                    {"hub", ack{stream: "S", domain: "leaf"}, nil, WrongStream, time.Second},
		"no domain":                         {"hub", ack{stream: "S"}, nil, WrongStream, time.Second},
		"another domain, then the right":    {"hub", ack{stream: "S", domain: "leaf"}, &ack{stream: "S", domain: "hub"}, "", 0},
		"somebody's answer":                 {"", ack{err: jetstream.ErrInvalidJSAck}, nil, WrongStream, time.Second},
		"somebody's answer, then the right": {"", ack{err: jetstream.ErrInvalidJSAck}, &ack{stream: "S"}, "", 0},
		"any domain will do":                {"", ack{stream: "S", domain: "leaf"}, nil, "", 0},
		"an error with a domain":            {"hub", ack{err: &jetstream.APIError{ErrorCode: 10060}}, nil, WrongStream, domainGrace},
		"an error with a domain, then none": {"hub", ack{err: &jetstream.APIError{ErrorCode: 10060}}, &ack{stream: "S", domain: "hub"}, "", 0},
		"an error without a domain":         {"", ack{err: &jetstream.APIError{ErrorCode: 10047}}, nil, NoStorage, 0},
		"another stream's error":            {"", ack{err: &jetstream.APIError{ErrorCode: 10060}}, &ack{stream: "S"}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAcks(test.domain)
				w := begun(a, "1")
				a.receive(w.number, test.first)
				if test.then != nil {
					a.receive(w.number, *test.then)
				}
				start := time.Now()
				o := <-w.done
				cause := Cause("")
				if o.Err != nil {
					cause = classify(o.Err)
				}
				if cause != test.want || time.Since(start) != test.after {
					t.Errorf("%q after %s: %v", cause, time.Since(start), o.Err)
				}
				time.Sleep(time.Minute) // nothing comes twice
			})
		})
	}
}
