package cli

import (
	"context"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

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
	const event = `{"specversion":"1.0","id":"5e0c","source":"/webhooks/flock","type":"a","subject":"a/1","time":"2026-01-02T03:04:05Z","datacontenttype":"application/json","provider":"flock","event":"a","receivedtime":"2026-01-02T03:04:05Z","signed":"payload","data":{}}`
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
					to: "http://localhost:3000", client: &http.Client{Transport: &test.answers}, failed: make(map[string]bool),
				}
				delivered, err := p.deliver(t.Context(), eventMsg{data: event})
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
