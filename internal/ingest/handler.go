// Package ingest is the public side: it receives a delivery, verifies it, wraps it into its
// envelope, publishes it and answers. It answers 200 only once the event is durable.
//
// Before its signature is verified, a delivery costs bounded memory and time, whatever its sender
// does (read.go, limiter.go). One table maps each error to its answer (answer.go).
package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// Publisher makes messages durable.
type Publisher interface {
	// Publish returns nil only once the message is durable. Its errors wrap publish.ErrTooLarge or
	// publish.ErrUnavailable. It returns by the context's deadline, even though Done never closes.
	Publish(context.Context, publish.Message) (publish.Status, error)
}

// Observer gets the record of each request after its answer. It must not keep the record, but may
// keep its strings.
type Observer interface {
	Observe(*Record)
}

// Record is the outcome of a request. An unauthenticated sender chooses nothing in it, except Remote.
type Record struct {
	Endpoint string        // the one at the path, or at nearly that path; "" if there is none
	Outcome  string        // a publish.Status, or an outcome of the table in answer.go
	Err      error         // why it was refused
	Remote   string        // the sender's address
	Duration time.Duration // from the headers to the answer
	Stages   Stages
	Event    *event.Event    // its event, without data; nil if it was refused before
	ID       string          // of an authentic delivery
	Kept     string          // why it is in quarantine, whatever the answer; "" if it isn't
	Claims   verify.Claims   // zero unless it is authentic
	Secrets  []secret.Secret // Claims.Secret is an index into them
	Received time.Time       // when its whole body had arrived; zero if it never did
	Trace    string          // the trace's id; "" if none is recorded
}

// Stages are the durations of the parts of the work; 0 for a part that wasn't reached.
type Stages struct{ Read, Verify, Publish time.Duration }

// Config is all that a [Handler] needs.
type Config struct {
	Endpoints        []verify.Endpoint
	SubjectPrefix    string
	MaxBodyBytes     int64
	MaxInFlightBytes int64
	Quarantine       bool // keep what is signed correctly and can't be published
	Publisher        Publisher
	Observer         Observer
	Refused          func(RefusedConn) // is called for each connection refused before a request; may be nil
	Tracer           *telemetry.Tracer // nil: no tracing
	Now              func() time.Time
}

// Handler serves the public listener.
type Handler struct {
	Config
	endpoints map[string]*verify.Endpoint // by path
	inFlight  budget
	large     *semaphore.Weighted // slots for large bodies
	Conns     *ConnLimiter
	created   time.Time
	stopping  atomic.Bool
}

// New returns the handler.
func New(c Config) *Handler {
	h := &Handler{Config: c, endpoints: make(map[string]*verify.Endpoint), Conns: NewConnLimiter(maxConnections), created: time.Now()}
	h.large = semaphore.NewWeighted(slots(c.MaxInFlightBytes, c.MaxBodyBytes))
	h.inFlight.limit, h.inFlight.now = c.MaxInFlightBytes, c.Now
	h.Conns.budget, h.Conns.report = &h.inFlight, h.Refused
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		h.endpoints["/webhooks/"+e.Name] = e
	}
	return h
}

// Stop makes every later answer close its connection.
func (h *Handler) Stop() { h.stopping.Store(true) }

// InFlightBytes returns how many received bytes are held now.
func (h *Handler) InFlightBytes() int64 { return h.inFlight.inUse() }

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := deliveries.Get().(*delivery)
	defer d.done()
	d.Handler, d.w, d.r, d.conn = h, w, r, connOf(r.Context())
	d.own.budget, d.held = &h.inFlight, &d.own
	if d.conn != nil {
		d.held = &d.conn.held
	}
	d.began = time.Now()
	d.bodyDeadline = d.began.Add(bodyTimeout)
	d.conn.begin(r.ContentLength)
	d.Remote = r.RemoteAddr
	// The path is compared as it was sent, without one slash at its end. Any other spelling is
	// another path.
	path := r.URL.EscapedPath()
	at, ok := h.endpoints[strings.TrimSuffix(path, "/")]
	d.setReadDeadline(d.bodyDeadline)
	var status publish.Status
	var err error
	if ok {
		d.Endpoint = at.Name
		d.span = h.Tracer.Receive(r, at.Name)
		status, err = d.receive(at)
	} else {
		d.Endpoint, err = h.notFound(path)
	}
	if !d.conn.isVerified() {
		d.conn.setIdle() // before the answer, which its sender may never read
	}
	d.Outcome, d.Err = d.answer(status, err), err
	d.Duration, d.Trace = time.Since(d.began), d.span.ID()
	h.Observer.Observe(&d.Record)
}

// notFound returns the error for an unknown path. If the path differs from an endpoint's only in
// slashes, capitals, escapes or the part before the name, notFound also returns that endpoint's name:
// somebody has registered a wrong address.
func (h *Handler) notFound(path string) (nearest string, err error) {
	plain, err := url.PathUnescape(path)
	if err != nil {
		plain = path
	}
	plain = strings.TrimRight(strings.ToLower(plain), "/ ")
	plain = plain[strings.LastIndexByte(plain, '/')+1:]
	at, ok := h.endpoints["/webhooks/"+plain]
	if !ok {
		return "", errNotFound
	}
	return at.Name, fmt.Errorf("%w: the endpoint is at /webhooks/%s", errWrongPath, at.Name)
}

// delivery is a request that is being worked on, with its record.
type delivery struct {
	*Handler
	Record
	w       http.ResponseWriter
	r       *http.Request
	conn    *conn // nil if the listener isn't bounded
	span    telemetry.Span
	began   time.Time
	held    *hold // of the connection
	own     hold  // without a connection
	begun   bool  // reading the body has begun
	whole   bool  // the body has been read
	body    body
	wrapped event.Event
	text    [128]byte // buffer for the answer

	bodyDeadline time.Time
	answerBy     time.Time // set at the body's last byte
}

// deliveries holds finished ones for reuse: one takes a kilobyte.
var deliveries = sync.Pool{New: func() any { return new(delivery) }}

// done releases what the delivery holds, and the delivery itself.
func (d *delivery) done() {
	d.held.release()
	*d = delivery{body: body{spare: d.body.spare}}
	deliveries.Put(d)
}

// answerTime is the time from the body's last byte to the answer. One vendor allows a second for
// the whole delivery.
const answerTime = 800 * time.Millisecond

// receive handles a request for an endpoint until its event is durable. A panic refuses this
// delivery alone.
func (d *delivery) receive(at *verify.Endpoint) (status publish.Status, err error) {
	defer func() {
		if p := recover(); p != nil {
			// The panic's value might quote the body; the stack doesn't.
			status, err = "", fmt.Errorf("%w: panic of type %T\n%s", errInternal, p, debug.Stack())
		}
	}()
	if d.r.Method != http.MethodPost {
		return "", errMethod
	}
	if err := d.read(); err != nil {
		return "", err
	}
	whole := time.Now()
	d.answerBy = whole.Add(answerTime)
	d.conn.setBusy()
	received := d.Now()
	d.Received, d.Stages.Read = received, whole.Sub(d.began)
	body, err := d.verify(at, received)
	d.Stages.Verify = time.Since(whole)
	if err != nil {
		return d.quarantine(at, body, received, err)
	}
	message, err := d.wrap(at, received)
	if err != nil {
		return "", err
	}
	return d.publish(message)
}

// publish makes a message durable. It doesn't use the request's context: a sender that hangs up
// cancels nothing. The deadline counts from the body's last byte, not from now.
func (d *delivery) publish(m publish.Message) (publish.Status, error) {
	began := time.Now()
	status, err := d.Publisher.Publish(d.span.Into(untilContext{context.Background(), d.answerBy}), m)
	d.Stages.Publish = time.Since(began)
	return status, err
}

// untilContext has a deadline without a timer: the relay reads the deadline, and sets a timer only if
// it has to wait.
type untilContext struct {
	context.Context
	at time.Time
}

// Deadline implements context.Context.
func (c untilContext) Deadline() (time.Time, bool) { return c.at, true }

// verify parses and verifies the body, and notes the claims of an authentic delivery. It returns the
// body as it came.
func (d *delivery) verify(at *verify.Endpoint, received time.Time) (body []byte, err error) {
	if d.body.len > smallBytes {
		ctx, cancel := context.WithTimeout(context.Background(), slotTimeout)
		defer cancel()
		if d.large.Acquire(ctx, 1) != nil {
			return nil, errBusy
		}
		defer d.large.Release(1)
	}
	body = d.body.joined()
	text, err := d.parse(at.Provider, body)
	if err != nil {
		return body, d.checkEncoding(err)
	}
	request := at.Request(d.r.Header, body, text, received)
	d.Secrets = request.Secrets
	step := d.span.Step("verify")
	d.Claims, err = at.Provider.Verify(request)
	step.End("", false)
	if err == nil || verify.IsAuthentic(err) {
		d.ID = at.ID(d.Claims)
		d.conn.setVerified()
	}
	return body, err
}

// parse is like [verify.Provider.Parse], but takes an object only, and charges its memory to the budget.
func (d *delivery) parse(p *verify.Provider, body []byte) (stringify.Text, error) {
	inner, err := p.JSON(d.r.Header, body)
	if err != nil {
		return nil, err
	}
	isCopy := len(inner) > 0 && &inner[0] != &body[0]
	if isCopy && !d.held.take(len(inner)) {
		return nil, errBusy
	}
	checked, err := stringify.Check(inner, p.AsSent)
	if err != nil {
		return nil, err
	}
	if !d.held.take(checked.Size()) {
		return nil, errBusy
	}
	text := checked.Text()
	if !text.IsObject() {
		return nil, errNotObject
	}
	return text, nil
}

// checkEncoding returns errContentEncoding if err is about a body that isn't JSON and there is a
// Content-Encoding, and else err. The header alone isn't judged: some senders write a charset there.
func (d *delivery) checkEncoding(err error) error {
	if !errors.Is(err, stringify.ErrSyntax) && !errors.Is(err, stringify.ErrUTF8) {
		return err
	}
	for _, coding := range d.r.Header.Values("Content-Encoding") {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return fmt.Errorf("%w: %w", errContentEncoding, err)
		}
	}
	return err
}

// wrap puts the verified body into its envelope.
func (d *delivery) wrap(at *verify.Endpoint, received time.Time) (publish.Message, error) {
	e := &d.wrapped
	*e = at.Event(d.ID, d.Claims, received)
	e.TraceParent, e.TraceState = d.span.Context()
	d.span.Verified(e.ID, e.Type)
	m := publish.NewMessage(d.SubjectPrefix, at.Name, e)
	held := len(m.Data)
	if d.Claims.AsSent {
		held += len(d.Claims.Body) // besides the canonical form
	}
	if !d.held.take(held) {
		return publish.Message{}, errBusy
	}
	e.Data = nil
	d.Event = e
	return m, nil
}
