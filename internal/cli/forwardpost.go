package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/event"
)

// poster posts events to a service and counts the outcomes.
type poster struct {
	*session
	selection
	to, durable string // these four are flags
	concurrency int
	timeout     time.Duration

	host   string // of the service; the rest of its URL may hold a token
	client *http.Client
	lines  printer
	begin  time.Time

	mu              sync.Mutex
	posted, skipped int
	pending         uint64          // how many events are left, about
	failed          map[uint64]bool // sequence numbers of events that are not delivered yet
}

const (
	maxAnswerLine = 60 // how many characters of an answer are printed
	firstPause    = 250 * time.Millisecond
	maxPause      = 10 * time.Second
	maxAttempts   = 6
)

// errAgain stands for an answer after which the event is posted again, errFinal for a final one.
var errAgain, errFinal = errors.New("to be tried again"), errors.New("not to be tried again")

// deliver posts a message until it is delivered, refused for good, or tried maxAttempts times. It
// skips a message that is not an event or that the filters exclude, which counts as delivered. An
// error ends the run.
func (p *poster) deliver(ctx context.Context, m jetstream.Msg) (delivered bool, err error) {
	sequence := uint64(0)
	if meta, err := m.Metadata(); err == nil {
		sequence = meta.Sequence.Stream
		p.count(func() { p.pending = meta.NumPending })
	}
	e, err := event.Parse(m.Data())
	if err != nil {
		p.say("skipping a message on %s that is not one of the bridge's events: %v", m.Subject(), err)
		p.count(func() { p.skipped++ })
		return true, nil
	}
	if !p.matches(&e) {
		return true, nil
	}
	attempt, waited := 1, false
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, maxPause) {
		answer, err := p.post(ctx, m.Data())
		isRefused := errors.Is(err, syscall.ECONNREFUSED)
		waits := isRefused && p.follow // for the service to start, which is no attempt
		switch {
		case waits && waited, err != nil && ctx.Err() != nil: // printed already, or Ctrl-C
		case waits:
			p.printAnswer(m.Subject(), e.ID, answer+"; events wait until your service does")
		case attempt > 1:
			p.printAnswer(m.Subject(), e.ID, fmt.Sprintf("attempt %d: %s", attempt, answer))
		default:
			p.printAnswer(m.Subject(), e.ID, answer)
		}
		if err == nil {
			p.count(func() { p.posted++; delete(p.failed, sequence) })
			return true, nil
		}
		p.count(func() { p.failed[sequence] = true })
		switch isLast := attempt >= maxAttempts && !waits; {
		case isLast && isRefused:
			return false, fmt.Errorf("nothing listens at %s: start your service there, or change --to", p.host)
		case isLast, errors.Is(err, errFinal):
			return false, nil
		}
		if waited = waits; !waits {
			attempt++
		}
		sleep(ctx, pause)
	}
	return false, nil
}

// post posts an event once. It returns the answer's status and first line, for people.
func (p *poster) post(ctx context.Context, payload []byte) (answer string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.to, bytes.NewReader(payload))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", event.ContentType)
	r.Header.Set("User-Agent", "webhook-bridge-forward")
	began := time.Now()
	got, err := exchange(p.client, r)
	if got.code == 0 {
		if withURL, ok := errors.AsType[*url.Error](err); ok { // its URL may hold a token
			err = withURL.Err
		}
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			return "nothing listens there", err
		case errors.Is(err, context.DeadlineExceeded):
			return fmt.Sprintf("no answer within %s", config.FormatDuration(p.timeout)), err
		}
		return "no answer: " + err.Error(), err
	}
	answer = fmt.Sprintf("%s in %s", got.status, time.Since(began).Round(100*time.Microsecond))
	if first, _, _ := strings.Cut(got.body, "\n"); first != "" {
		answer += ": " + truncate(printable(strings.TrimSpace(first)), maxAnswerLine)
	}
	switch status := got.code; {
	case status/100 == 2:
		return answer, nil
	case status/100 == 3:
		return answer + " (redirects are not followed: give the target as --to)", errFinal
	case status == 408, status == 425, status == 429, status >= 500:
		return answer, errAgain
	}
	return answer, errFinal
}

// printAnswer prints a line with the answer to an event.
func (p *poster) printAnswer(subject, id, answer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	head := fmt.Sprintf("%s  %s  %s  ", time.Now().Format(time.TimeOnly), p.lines.name(subject), shortened(id))
	p.print("%s", head+p.lines.fit(answer, len(head)))
}

func (p *poster) count(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// progress prints the counts every few seconds, until the context ends.
func (p *poster) progress(ctx context.Context) {
	for sleep(ctx, 5*time.Second); ctx.Err() == nil; sleep(ctx, 5*time.Second) {
		p.count(func() { p.say("%d delivered, %d not, about %d left", p.posted, len(p.failed), p.pending) })
	}
}

// summary prints the counts at the end of a run, and returns its error.
func (p *poster) summary(ctx context.Context, err error) error {
	skipped := ""
	if p.skipped > 0 {
		skipped = fmt.Sprintf("; %d messages were not events of the bridge", p.skipped)
	}
	if err == nil || p.posted > 0 || len(p.failed) > 0 {
		p.say("%d delivered, %d not, in %s%s", p.posted, len(p.failed), time.Since(p.begin).Round(time.Millisecond), skipped)
	}
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
