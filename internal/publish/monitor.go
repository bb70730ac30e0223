package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/stream"
)

// monitor checks a stream on every new connection, every minute, and after a publish that may have failed
// because of the stream. It creates a missing stream, and repeats a failed check.
type monitor struct {
	stream Stream
	server Server
	log    *zap.Logger
	file   string // with the stream's window; "": none
	room   *room  // nil: the stream isn't the quarantine's

	largest int64 // [Config.Largest]

	requests  chan struct{}            // for a check; holds at most one
	verified  atomic.Pointer[session]  // the session in which the last check succeeded; nil: none, or it failed
	epoch     atomic.Int64             // how often the stream has become ready
	window    atomic.Pointer[window]   // as of the last check; before the first, of the last process
	saving    chan struct{}            // holds a value while the file is written
	saved     window                   // the window in the file
	subjects  atomic.Pointer[[]string] // the stream's, as of the last check that succeeded; nil: none has
	limit     atomic.Int64             // the largest message that server and stream take; 0: unknown
	tooLarge  atomic.Bool              // a message was larger than the limit since the last look-up of max_payload
	lookedUp  time.Time                // when max_payload was last looked up; used by run alone
	lastError atomic.Pointer[error]    // why the last check failed; nil: it succeeded, or there was none
	failing   time.Time                // when the first of the failed checks in a row began; zero: the last one didn't fail
	reported  string                   // the failure that was logged since the last success; "": none was
	logged    []string                 // the differences that were logged last
}

const (
	checkTimeout  = 5 * time.Second
	firstRetry    = 250 * time.Millisecond
	maxRetry      = 5 * time.Second
	checkInterval = time.Minute // the stream may change while nothing is published

	// ElectionGrace is longer than a cluster usually takes to start, or to elect a leader after a server
	// has died. Until then, the log doesn't call a missing leader an error.
	ElectionGrace = 10 * time.Second
)

var (
	errNoLeader     = &jetstream.APIError{ErrorCode: 10008} // JetStream's cluster has no leader now
	errNoPeers      = &jetstream.APIError{ErrorCode: codeNoPeers}
	errUnchecked    = errors.New("the stream has not been checked yet")
	errOtherSubject = errors.New("the stream does not take this subject")
)

func newMonitor(c Config, of Stream) *monitor {
	m := &monitor{
		stream: of, server: c.Server, log: c.Log.With(zap.String("stream", of.Name)), largest: c.Largest,
		requests: make(chan struct{}, 1), saving: make(chan struct{}, 1),
	}
	if c.WindowDir != "" {
		m.file = filepath.Join(c.WindowDir, "window-"+of.Name+".json")
		var err error
		if m.saved, err = readWindow(m.file); err != nil {
			m.log.Warn("the stream's duplicate window of the last run can't be read: spooled records are looked up before they are published",
				zap.String("file", m.file), zap.Error(err))
		}
	}
	m.window.Store(new(m.saved))
	return m
}

// check requests a check and doesn't wait for it.
func (m *monitor) check() {
	select {
	case m.requests <- struct{}{}:
	default: // one is requested already
	}
}

// ready returns nil if a check in this session has succeeded and none has failed since. A check that
// JetStream doesn't answer counts as neither.
func (m *monitor) ready(s *session) error {
	if s != nil && m.verified.Load() == s {
		return nil
	}
	if err := m.lastError.Load(); err != nil {
		return *err
	}
	return errUnchecked
}

// takes reports whether the stream takes the subject, as of the last check that succeeded.
func (m *monitor) takes(subject string) bool {
	subjects := m.subjects.Load()
	return subjects == nil || takes(*subjects, subject)
}

// lastWindow returns the stream's window as of the last check.
func (m *monitor) lastWindow() window { return *m.window.Load() }

// run checks the stream at once, on request, at intervals, and again after a failure, until the
// session ends.
func (m *monitor) run(s *session) {
	next, retry := time.Duration(0), firstRetry
	m.failing = time.Time{}
	for {
		patience := checkTimeout
		if m.verified.Load() != s { // an election leaves requests without an answer, and may be over soon
			patience = min(4*retry, checkTimeout)
		}
		select {
		case <-s.alive.Done():
			return
		case <-m.requests:
		case <-time.After(next):
		}
		m.checkOnce(s, patience)
		next, retry = retry, min(2*retry, maxRetry)
		if m.lastError.Load() == nil {
			next, retry = checkInterval, firstRetry
		}
		// A thousand publishes that fail at the same time cause one check, not a thousand.
		select {
		case <-s.alive.Done():
		case <-time.After(firstRetry):
		}
	}
}

// checkOnce checks the stream, and waits for JetStream's first answer with patience. If the session ends
// meanwhile, the result is ignored: the answer may have been lost with the connection.
func (m *monitor) checkOnce(s *session, patience time.Duration) {
	began := time.Now()
	attempt, cancel := context.WithTimeout(s.alive, checkTimeout)
	defer cancel()
	if m.room != nil {
		m.room.begin()
	}
	found, err := m.stream.ensure(attempt, s.js, patience)
	if s.alive.Err() != nil {
		return
	}
	if found.info != nil {
		m.observe(found)
	}
	if err != nil {
		name := m.stream.Name
		right := s.denied.RightFor(append(stream.Requests(name), "STREAM.CREATE."+name+"."), began)
		if right != "" && errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("stream %s: %w: our account may not %s: grant it, see docs/operations.md",
				name, nats.ErrPermissionViolation, right)
		}
		m.failed(s, began, found, err)
		return
	}
	if m.room != nil {
		m.room.update(found.info)
	}
	m.succeeded(s, found, s.nc.MaxPayload())
	m.checkPayload(s)
}

// failed notes a failed check. If JetStream didn't answer, the stream is used as before.
func (m *monitor) failed(s *session, began time.Time, found found, err error) {
	m.lastError.Store(&err)
	m.failing = cmp.Or(m.failing, began)
	level, message := zap.ErrorLevel, "stream is not ready"
	isUnanswered := errors.Is(err, context.DeadlineExceeded)
	if m.verified.Load() == s && !found.isMissing && isUnanswered { // JetStream's API may be overloaded while the stream takes messages
		level, message = zap.WarnLevel, "stream can't be checked and is used as before"
	} else {
		m.verified.Store(nil)
		if (isUnanswered || errors.Is(err, errNoLeader) || errors.Is(err, errNoPeers)) && time.Since(m.failing) < ElectionGrace {
			return
		}
	}
	if failure := message + err.Error(); failure != m.reported {
		m.reported = failure
		m.log.Log(level, message, zap.Error(err))
	}
}

// succeeded notes a check that succeeded, and logs what the check has changed, and what differs.
func (m *monitor) succeeded(s *session, found found, maxPayload int64) {
	have := found.config
	if size := int64(have.MaxMsgSize); size > 0 {
		maxPayload = min(maxPayload, size)
	}
	if size := have.MaxBytes; size > 0 && have.Discard == jetstream.DiscardOld { // larger ones are acknowledged and dropped at once
		maxPayload = min(maxPayload, max(size-storeOverhead, 1))
	}
	if m.limit.Swap(maxPayload) != maxPayload && maxPayload < m.largest {
		m.log.Warn("a delivery of MAX_BODY_BYTES doesn't fit in a message and would be answered 413: "+
			"lower MAX_BODY_BYTES, or raise NATS' max_payload (the embedded server's is fixed: set NATS_URL) and the stream's max_msg_size and max_bytes", zap.Int64("largest_message", maxPayload))
	}
	m.subjects.Store(&have.Subjects)
	if m.lastError.Swap(nil) != nil && m.verified.Load() == s {
		m.log.Info("stream can be checked again")
	}
	m.failing, m.reported = time.Time{}, ""
	if len(found.changes) > 0 {
		m.log.Info("stream has been changed as the configuration says", zap.Strings("changes", found.changes))
	}
	if !slices.Equal(found.differences, m.logged) && len(found.differences) > 0 {
		m.log.Warn("stream differs from the configuration and was left unchanged", zap.Strings("differences", found.differences))
	}
	m.logged = found.differences
	if m.verified.Load() != s {
		m.epoch.Add(1) // before anybody takes it for ready
	}
	switch isNew := m.verified.Swap(s) != s; {
	case isNew:
		m.log.Info("stream is ready", zap.Strings("subjects", have.Subjects), zap.Int("replicas", have.Replicas),
			zap.Duration("duplicates", have.Duplicates), zap.Bool("created", found.created))
	case found.created:
		m.log.Info("stream was missing and has been created")
	}
}

// payloadEvery is the shortest time between two look-ups of the server's max_payload.
const payloadEvery = 10 * time.Second

var errRaised = errors.New("the server's max_payload was raised")

// checkPayload ends the session if a message was too large for it, but the server now takes larger ones.
func (m *monitor) checkPayload(s *session) {
	if !m.tooLarge.Load() || m.limit.Load() < s.nc.MaxPayload() || time.Since(m.lookedUp) < payloadEvery {
		return
	}
	m.tooLarge.Store(false)
	m.lookedUp = time.Now()
	switch raised, err := m.server.isPayloadRaised(s.alive, s.nc); {
	case s.alive.Err() != nil:
	case err != nil:
		m.log.Warn("can't find out whether the server's max_payload was raised", zap.Error(err))
	case raised:
		_ = s.end(errRaised)
	}
}
