package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// service answers with the statuses in turn; 0: nothing listens, -1: no answer comes.
type service []int

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	status := (*s)[0]
	*s = (*s)[1:]
	switch status {
	case 0:
		return nil, syscall.ECONNREFUSED
	case -1:
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader(""))}, nil
}

// While nothing listens an event waits, and then it still has all of its attempts.
func TestForwardWaitsThenTries(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers service
		err     string
		lines   string
	}{
		{"it starts slowly", service{0, 0, 0, 0, 0, 0, 0, 0, 503, 503, 503, 503, 503, 200}, "<nil>", "attempt 6: OK"},
		{"it never recovers", service{0, 0, 0, 0, 0, 0, 0, 0, 503, 503, 503, 503, 503, 503}, "Service Unavailable in 0s", "attempt 6: Service Unavailable"},
		{"it hangs, then refuses for good", service{-1, 429, 408, 425, 400}, "Bad Request in 0s", "no answer within 10s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				p := poster{
					session: &session{prog: program{out: &out, err: t.Output()}},
					to:      "http://localhost:3000", client: &http.Client{Transport: &test.answers, Timeout: answerTimeout},
				}
				wanted := len(test.answers)
				for _, code := range test.answers[1:] {
					if code == 0 { // printed once
						wanted--
					}
				}
				err := p.deliver(t.Context(), "webhooks.flock.a", "5e0c", nil)
				expect.Equal(t, test.err, fmt.Sprint(err), "the error")
				expect.Equal(t, 0, len(test.answers), "answers that were not asked for")
				expect.Equal(t, wanted, strings.Count(out.String(), "\n"), "lines printed")
				if !strings.Contains(out.String(), test.lines) {
					t.Errorf("%q is not in what was printed:\n%s", test.lines, out.String())
				}
			})
		})
	}
}

// Ctrl-C makes the posting of a span fail, also if only its last event waits for the service. It is the
// usual end of following the stream. The event that waits counts as not delivered, those after it don't.
func TestForwardIsInterrupted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		command string
		status  int
		stderr  string
	}{
		{"forward --since 1h --to http://127.0.0.1:1", exitFailure, `^bridge: 0 delivered, 1 not, in \S+\nbridge: interrupted\n$`},
		{"forward --to http://127.0.0.1:1", exitOK, `^bridge: following .*\nbridge: 0 delivered, 1 not, in \S+\n$`},
	} {
		t.Run(test.command, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, mayLookUp, []string{"$JS.API.STREAM.INFO.WEBHOOKS"})
			put := func(id string) { f.put(publish.Message{Subject: "webhooks.flock.a", Data: []byte(anEvent)}, id) }
			put("5e0c")
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			waits := writerFunc(func(string) { interrupt() })
			var stderr strings.Builder
			var status int
			var running sync.WaitGroup
			running.Go(func() {
				status = run(ctx, strings.Fields(test.command), program{f.environ, nil, waits, &stderr})
			})
			for n := 0; ctx.Err() == nil; n++ {
				put(fmt.Sprintf("%04x", n)) // for the command that follows, whenever it begins
				time.Sleep(100 * time.Millisecond)
			}
			running.Wait()
			if status != test.status || !regexp.MustCompile(test.stderr).MatchString(stderr.String()) {
				t.Errorf("exit status %d, %s", status, stderr.String())
			}
		})
	}
}
