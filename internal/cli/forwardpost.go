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
	url        string
	client     *http.Client
	out, words io.Writer
	pending    atomic.Uint64 // about how many events are left

	mu              sync.Mutex
	posted, skipped int
	failed          map[string]bool // ids of what isn't delivered
	refused         bool            // nothing listens, and the user was told
	begin           time.Time
}

const (
	maxAnswer  = 64 << 10 // that is read of an answer: so much lets the connection be used again
	shownBytes = 60
	firstPause = 250 * time.Millisecond
	maxPause   = 10 * time.Second
)

var (
	errUndelivered = errors.New("the event was not delivered")
	// errFinal is an answer that trying again won't change.
	errFinal = errors.New("not tried again")
)

func newPoster(f *forward, to *url.URL, stdio stdio) *poster {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = f.concurrency
	transport.MaxResponseHeaderBytes = maxAnswer
	client := &http.Client{
		Transport: transport, Timeout: f.timeout,
		// A redirect may lead to another host, and net/http makes a GET of most.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &poster{forward: f, url: to.String(), client: client, out: stdio.out, words: stdio.err, failed: map[string]bool{}, begin: time.Now()}
}

// deliver posts a message until it is delivered, refused for good, or tried often enough. Its error is
// errUndelivered, the context's, or one that ends the run. A message that is no event, or that the
// filters leave out, is passed over.
func (p *poster) deliver(ctx context.Context, m jetstream.Msg) error {
	e, err := event.Parse(m.Data())
	if err != nil {
		p.say("passing over a message on %s that is not one of the bridge's events: %v", m.Subject(), err)
		p.count(func() { p.skipped++ })
		return nil
	}
	if !p.choice.matches(&e) {
		return nil
	}
	for attempt, pause := 1, firstPause; ; attempt, pause = attempt+1, min(2*pause, maxPause) {
		answer, err := p.post(m.Data())
		isRefused := errors.Is(err, syscall.ECONNREFUSED)
		waits := isRefused && p.follow
		if waits {
			p.sayRefused()
		} else if printErr := p.print(&e, answer, attempt); printErr != nil {
			return printErr
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

// post posts an event once, and returns the answer in a few words. It goes on after Ctrl-C, for as long
// as the time-out lets it: the service may have done its work already.
func (p *poster) post(payload []byte) (string, error) {
	r, err := http.NewRequest(http.MethodPost, p.url, bytes.NewReader(payload)) //nolint:noctx // the client's time-out ends it
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", event.ContentType)
	r.Header.Set("User-Agent", "webhook-bridge-forward")
	began := time.Now()
	answer, err := p.client.Do(r)
	if err != nil {
		if withURL, ok := errors.AsType[*url.Error](err); ok { // its query may have a token
			err = withURL.Err
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			return "nothing listens there", err
		}
		return "no answer: " + err.Error(), err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	took := time.Since(began).Round(time.Millisecond)
	text := fmt.Sprintf("%s in %s", answer.Status, took)
	if first := firstLine(body); first != "" {
		text += ": " + first
	}
	switch status := answer.StatusCode; {
	case status/100 == 2:
		return text, nil // whatever became of the rest of its body
	case status/100 == 3:
		return text + " (a redirect is not followed: give its target as --to)", errFinal
	case status == 408, status == 425, status == 429, status >= 500:
		return text, errors.Join(errUndelivered, err)
	}
	return text, errFinal
}

// firstLine returns the beginning of an answer's first line.
func firstLine(body []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(body), []byte("\n"))
	text := []rune(strings.ToValidUTF8(humanize.Text(string(bytes.TrimSpace(line[:min(len(line), 4*shownBytes)]))), "\ufffd"))
	if len(text) > shownBytes {
		return string(text[:shownBytes]) + "…"
	}
	return string(text)
}

// print prints what was answered to an event.
func (p *poster) print(e *event.Event, answer string, attempt int) error {
	if attempt > 1 {
		answer += fmt.Sprintf(" (attempt %d)", attempt)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := fmt.Fprintln(p.out, humanize.Text(fmt.Sprintf("%s  %s  %s  %s", moment(time.Now(), time.Now()), e.Event, e.ID, answer)))
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

func (p *poster) say(format string, args ...any) {
	_, _ = fmt.Fprintln(p.words, "bridge: "+humanize.Text(fmt.Sprintf(format, args...)))
}

// sayRefused tells once that nothing listens.
func (p *poster) sayRefused() {
	told := false
	p.count(func() { told, p.refused = p.refused, true })
	if !told {
		p.say("nothing listens at %s: start your service there, or correct --to; events wait until then", p.host())
	}
}

// progress writes every few seconds how far a span has come, until the function that it returns is called.
func (p *poster) progress() (end func()) {
	if p.follow {
		return func() {}
	}
	tick, done := time.NewTicker(5*time.Second), make(chan struct{})
	go func() {
		for {
			select {
			case <-tick.C:
				p.mu.Lock()
				posted, failed := p.posted, len(p.failed)
				p.mu.Unlock()
				p.say("%d delivered, %d not, about %d to go", posted, failed, p.pending.Load())
			case <-done:
				return
			}
		}
	}()
	return func() { tick.Stop(); close(done) }
}

// summary writes what became of the events, and returns the error of the run.
func (p *poster) summary(ctx context.Context, err error) error {
	words := fmt.Sprintf("%d delivered, %d not, in %s", p.posted, len(p.failed), time.Since(p.begin).Round(time.Millisecond))
	if p.skipped > 0 {
		words += fmt.Sprintf("; %d messages were not events of the bridge", p.skipped)
	}
	p.say("%s", words)
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
