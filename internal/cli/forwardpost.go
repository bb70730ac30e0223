package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/humanize"
)

// poster posts events to a service and counts what became of them.
type poster struct {
	*forward
	stdio
	lines   printer
	url     string
	client  *http.Client
	pending atomic.Uint64 // about how many events are left

	mu              sync.Mutex
	posted, skipped int
	failed          map[string]bool // ids of events that are not delivered
	underway        int             // events being posted
	refused         bool            // nothing listens, and the user was told
	begin           time.Time
}

const (
	maxAnswer     = 64 << 10 // read of an answer, so that the connection can be used again
	maxAnswerLine = 60       // characters printed of it
	firstPause    = 250 * time.Millisecond
	maxPause      = 10 * time.Second
)

var (
	errUndelivered = errors.New("the event was not delivered")
	// errFinal is an answer that trying again won't change.
	errFinal = errors.New("not tried again")
)

func newPoster(f *forward, to *url.URL, lines printer, stdio stdio) *poster {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = f.concurrency
	transport.MaxResponseHeaderBytes = maxAnswer
	client := &http.Client{
		Transport: transport, Timeout: f.timeout,
		// A redirect may lead to another host, and net/http makes a GET of most.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &poster{
		forward: f, stdio: stdio, lines: lines, url: to.String(), client: client,
		failed: make(map[string]bool), begin: time.Now(),
	}
}

// deliver posts a message until it is delivered, refused for good, or tried often enough. Its error is
// errUndelivered, or one that ends the run. A message that is not an event, or that the filters exclude,
// is skipped.
func (p *poster) deliver(ctx context.Context, m jetstream.Msg) error {
	e, err := event.Parse(m.Data())
	if err != nil {
		p.say("skipping a message on %s that is not one of the bridge's events: %v", m.Subject(), err)
		p.count(func() { p.skipped++ })
		return nil
	}
	if !p.filter.matches(&e) {
		return nil
	}
	for attempt, pause := 1, firstPause; ; attempt, pause = attempt+1, min(2*pause, maxPause) {
		p.count(func() { p.underway++ })
		answer, detail, err := p.post(m.Data())
		p.count(func() { p.underway-- })
		isRefused := errors.Is(err, syscall.ECONNREFUSED)
		waits := isRefused && p.follow
		if waits {
			p.sayRefused()
		} else {
			if attempt > 1 {
				answer += fmt.Sprintf(" (attempt %d)", attempt)
			}
			if err := p.print(m.Subject(), e.ID, answer+detail); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
			p.count(func() { p.posted++; p.refused = false; delete(p.failed, e.ID) })
			return nil
		case errors.Is(err, errFinal), attempt >= p.attempts && !waits, ctx.Err() != nil:
			p.count(func() { p.failed[e.ID] = true })
			if isRefused && !p.follow {
				return fmt.Errorf("nothing listens at %s: start your service there, or correct --to", p.host())
			}
			return errUndelivered
		}
		wait(ctx, pause/2+rand.N(pause/2)) //nolint:gosec // nobody gains by guessing it
		if ctx.Err() != nil {
			p.count(func() { p.failed[e.ID] = true })
			return errUndelivered
		}
	}
}

// post posts an event once, and returns the answer in a few words, and its first line. It goes on after
// Ctrl-C until the time-out: the service may have done its work already.
func (p *poster) post(payload []byte) (answer, detail string, err error) {
	r, err := http.NewRequest(http.MethodPost, p.url, bytes.NewReader(payload)) //nolint:noctx // the client's time-out ends it
	if err != nil {
		return "", "", err
	}
	r.Header.Set("Content-Type", event.ContentType)
	r.Header.Set("User-Agent", "webhook-bridge-forward")
	began := time.Now()
	response, err := p.client.Do(r)
	if err != nil {
		if withURL, ok := errors.AsType[*url.Error](err); ok { // its query may have a token
			err = withURL.Err
		}
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			return "nothing listens there", "", err
		case errors.Is(err, context.DeadlineExceeded):
			return fmt.Sprintf("no answer within %s", humanize.Duration(p.timeout)), "", err
		}
		return "no answer", ": " + err.Error(), err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	answer = fmt.Sprintf("%s in %s", response.Status, time.Since(began).Round(100*time.Microsecond))
	if first := firstLine(body); first != "" {
		detail = ": " + first
	}
	switch status := response.StatusCode; {
	case status/100 == 2:
		return answer, detail, nil // even if the rest of its body is lost
	case status/100 == 3:
		return answer, " (redirects are not followed: give the target as --to)", errFinal
	case status == 408, status == 425, status == 429, status >= 500:
		return answer, detail, errors.Join(errUndelivered, err)
	}
	return answer, detail, errFinal
}

// firstLine returns the beginning of an answer's first line.
func firstLine(body []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(body), []byte("\n"))
	text := []rune(strings.ToValidUTF8(humanize.Text(string(bytes.TrimSpace(line[:min(len(line), 4*maxAnswerLine)]))), "\ufffd"))
	if len(text) > maxAnswerLine {
		return string(text[:maxAnswerLine]) + "…"
	}
	return string(text)
}

// print prints the answer to an event.
func (p *poster) print(subject, id, answer string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	head := fmt.Sprintf("%s  %s  %s  ", time.Now().Format(time.TimeOnly), p.lines.name(subject), shortened(id))
	_, err := fmt.Fprintln(p.out, humanize.Text(head+p.lines.fit(answer, len(head))))
	return err
}

func (p *poster) host() string {
	to, err := url.Parse(p.url)
	if err != nil {
		return "--to"
	}
	return to.Scheme + "://" + to.Host
}

func (p *poster) count(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// sayEnding tells after Ctrl-C what is waited for.
func (p *poster) sayEnding() {
	p.count(func() {
		if p.underway > 0 {
			p.say("waiting up to %s for the last answers; Ctrl-C again ends at once", humanize.Duration(p.timeout))
		}
	})
}

// sayRefused tells once that nothing listens.
func (p *poster) sayRefused() {
	told := false
	p.count(func() { told, p.refused = p.refused, true })
	if !told {
		p.say("nothing listens at %s: start your service there, or correct --to; events wait until then", p.host())
	}
}

// progress tells every few seconds how far a span has come, until end is called.
func (p *poster) progress() (end func()) {
	if p.follow {
		return func() {}
	}
	tick, done := time.NewTicker(5*time.Second), make(chan struct{})
	go func() {
		for {
			select {
			case <-tick.C:
				p.count(func() {
					p.say("%d delivered, %d not, about %d to go", p.posted, len(p.failed), p.pending.Load())
				})
			case <-done:
				return
			}
		}
	}()
	return func() { tick.Stop(); close(done) }
}

// summary tells how many events were delivered, and returns the error of the run.
func (p *poster) summary(ctx context.Context, err error) error {
	skipped := ""
	if p.skipped > 0 {
		skipped = fmt.Sprintf("; %d messages were not events of the bridge", p.skipped)
	}
	p.say("%d delivered, %d not, in %s%s", p.posted, len(p.failed), time.Since(p.begin).Round(time.Millisecond), skipped)
	switch {
	case err != nil:
		return err
	case !p.follow && ctx.Err() != nil:
		return errors.New("interrupted before the end")
	case len(p.failed) > 0:
		return fmt.Errorf("events that were not delivered: %d", len(p.failed))
	}
	return nil
}
