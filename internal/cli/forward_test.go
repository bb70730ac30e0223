package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

const anEvent = `{"specversion":"1.0","id":"5e0c","source":"/webhooks/flock","type":"a","subject":"a/1","time":"2026-01-02T03:04:05Z","datacontenttype":"application/json","provider":"flock","event":"a","receivedtime":"2026-01-02T03:04:05Z","signed":"payload","data":{}}`

// eventMsg is a message of the stream.
type eventMsg struct {
	jetstream.Msg
	data string
}

func (s eventMsg) Data() []byte                              { return []byte(s.data) }
func (s eventMsg) Subject() string                           { return "webhooks.flock.a" }
func (s eventMsg) Metadata() (*jetstream.MsgMetadata, error) { return nil, jetstream.ErrNotJSMessage }

// service answers with the statuses in turn; 0: nothing listens.
type service []int

func (s *service) RoundTrip(*http.Request) (*http.Response, error) {
	status := (*s)[0]
	*s = (*s)[1:]
	if status == 0 {
		return nil, syscall.ECONNREFUSED
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader(""))}, nil
}

// While nothing listens an event waits, and then it still has all of its attempts.
func TestForwardWaitsThenTries(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers service
		want    bool
		lines   int
	}{
		{"it starts slowly", service{0, 0, 0, 0, 0, 0, 0, 0, 503, 503, 503, 503, 503, 200}, true, 7},
		{"it never recovers", service{0, 0, 0, 0, 0, 0, 0, 0, 503, 503, 503, 503, 503, 503}, false, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				p := poster{
					session: &session{program: program{out: &out, err: t.Output()}}, selection: selection{follow: true},
					to: "http://localhost:3000", client: &http.Client{Transport: &test.answers}, failed: make(map[uint64]bool),
				}
				delivered, err := p.deliver(t.Context(), eventMsg{data: anEvent})
				expect.NoError(t, err)
				expect.Equal(t, test.want, delivered, "whether it was delivered")
				expect.Equal(t, 0, len(test.answers), "answers that were not asked for")
				expect.Equal(t, test.lines, strings.Count(out.String(), "\n"), "lines printed")
			})
		})
	}
}

// idle is a consumer that has delivered everything.
type idle struct {
	jetstream.Consumer
	unacknowledged int
}

func (c idle) Info(context.Context) (*jetstream.ConsumerInfo, error) {
	return &jetstream.ConsumerInfo{NumAckPending: c.unacknowledged}, nil
}

// What an earlier run couldn't deliver is left until NATS delivers it again.
func TestForwardCountsUnacknowledged(t *testing.T) {
	p := poster{}
	isDone, err := p.isDone(t.Context(), idle{unacknowledged: 2})
	expect.NoError(t, err)
	expect.Equal(t, false, isDone, "whether it is done")
	expect.Equal(t, 2, p.pending, "events left")
}

// Without --follow, a durable ends once everything was posted, however much was refused: also more
// events than a consumer may leave unacknowledged by default, and several with one id.
func TestForwardDurableEnds(t *testing.T) {
	t.Parallel()
	const refused = 1100
	o := operate(t, mayLookUp, []string{"$JS.API.STREAM.INFO.WEBHOOKS", "$JS.API.CONSUMER.INFO.WEBHOOKS.>", "$JS.ACK.WEBHOOKS.>"})
	for range refused {
		expect.NoError(t, expect.Err(o.js.PublishMsgAsync(&nats.Msg{Subject: "webhooks.flock.a", Data: []byte(anEvent)}, jetstream.WithStallWait(time.Minute))))
	}
	<-o.js.PublishAsyncComplete()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }))
	defer service.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute/2) // NATS doesn't deliver the refused ones again before
	defer cancel()
	var words strings.Builder
	args := strings.Fields("forward --durable mine --since 1h --follow=false --concurrency 8 --to " + service.URL)
	status := run(ctx, args, program{o.environ, nil, io.Discard, &words})
	if want := fmt.Sprintf("bridge: events that were not delivered: %d\n", refused); status != exitFailure || !strings.HasSuffix(words.String(), want) {
		t.Errorf("exit status %d, %s", status, words.String())
	}

	// A consumer that an older version made has the default limit.
	consumer, err := o.js.Consumer(ctx, "WEBHOOKS", "mine")
	expect.NoError(t, err)
	old := consumer.CachedInfo().Config
	old.MaxAckPending = 1000
	expect.NoError(t, expect.Err(o.js.UpdateConsumer(ctx, "WEBHOOKS", old)))
	stopped, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		run(stopped, strings.Fields("forward --durable mine --to "+service.URL), program{o.environ, nil, io.Discard, io.Discard})
		close(ended)
	}()
	poll.Until(t, "the limit is gone", func() bool {
		info, err := consumer.Info(ctx)
		return err == nil && info.Config.MaxAckPending == -1
	})
	stop()
	<-ended
}
