// Package ingest is the public side: it receives a delivery, has it verified, wraps it into its
// envelope, has it published, and answers. It answers 200 only once the event is durable.
//
// Whatever a sender does, one delivery costs bounded memory and time before its signature is known
// to be right: see read.go. What each error means to the sender stands in one table: see answer.go.
package ingest

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// Publisher makes messages durable.
type Publisher interface {
	// Publish returns without error only once the message is durable. Its errors wrap
	// publish.ErrTooLarge or publish.ErrUnavailable. It returns by the context's deadline, which Done doesn't tell of.
	Publish(context.Context, publish.Message) (publish.Status, error)
}

// Observer is told what became of each request, after it was answered. It must keep nothing of the record but its texts.
type Observer interface {
	Observe(*Record)
}

// Record is what became of a request. Nothing in it was chosen by an unauthenticated sender, but
// for Remote.
type Record struct {
	Endpoint string        // "" where the path is no endpoint's, nor nearly
	Outcome  string        // a publish.Status, or the outcome of the table in answer.go
	Err      error         // why it was refused
	Remote   string        // the sender's address
	Duration time.Duration // from the headers to the answer
	Stages   Stages
	Event    *event.Event    // what was made of it, without data; nil where it was refused before
	ID       string          // once it is authentic
	Kept     string          // why it is in quarantine, whatever the answer was; "" where it isn't
	Claims   verify.Claims   // what it said; zero unless it was authentic
	Secrets  []secret.Secret // among which Claims.Secret is one
	Received time.Time       // when its body was whole; zero where it never was
	Trace    string          // the trace's id; "" where none is recorded
}

// Stages are how long each part of the work took; 0 where it didn't come to that.
type Stages struct{ Read, Verify, Publish time.Duration }

// Config is all that a [Handler] needs.
type Config struct {
	Endpoints        []verify.Endpoint
	SubjectPrefix    string
	MaxBodyBytes     int64
	MaxInFlightBytes int64
	Quarantine       bool // keep what bears a right signature and can't be published
	Publisher        Publisher
	Observer         Observer
	Refused          func(RefusedConn) // is told of what doesn't get as far as a request; nil for nobody
	Tracer           *telemetry.Tracer // nil: no tracing
	Now              func() time.Time
}

// Handler serves the public listener.
type Handler struct {
	Config
	endpoints map[string]*verify.Endpoint // by path
	inFlight  budget
	large     semaphore
	conns     *ConnLimiter
	stopping  atomic.Bool
}

// New returns the handler.
func New(c Config) *Handler {
	h := &Handler{Config: c, endpoints: make(map[string]*verify.Endpoint), large: newSemaphore(c.MaxInFlightBytes, c.MaxBodyBytes)}
	h.inFlight.limit, h.inFlight.now = c.MaxInFlightBytes, c.Now
	h.limitConns(maxConnections)
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		h.endpoints["/webhooks/"+e.Name] = e
	}
	return h
}

// limitConns sets how many connections there may be.
func (h *Handler) limitConns(most int) {
	h.conns = NewConnLimiter(most)
	h.conns.budget, h.conns.tell = &h.inFlight, h.Refused
}

// Stop makes every answer from now on ask its sender to take another connection.
func (h *Handler) Stop() { h.stopping.Store(true) }

// InFlightBytes returns how much is received and held now.
func (h *Handler) InFlightBytes() int64 { return h.inFlight.used.Load() }

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := deliveries.Get().(*delivery)
	defer d.done()
	d.Handler, d.w, d.r, d.conn, d.held.budget = h, w, r, connOf(r.Context()), &h.inFlight
	d.began, d.bodyDeadline = h.Now(), time.Now().Add(bodyTimeout)
	d.conn.begin(r.ContentLength, &d.held)
	d.Remote = r.RemoteAddr
	// The path is compared as it was sent: another spelling of it is another path, but for one slash at its end.
	path := r.URL.EscapedPath()
	at, ok := h.endpoints[strings.TrimSuffix(path, "/")]
	status, err := publish.Status(""), d.setReadDeadline(d.bodyDeadline)
	switch {
	case err != nil:
	case !ok:
		d.Endpoint, err = h.notFound(path)
	default:
		d.Endpoint = at.Name
		d.span = h.Tracer.Receive(r, at.Name)
		status, err = d.receive(at)
	}
	if !d.conn.isVerified() {
		d.conn.rest() // its answer may find no reader, and it keeps no place for that
	}
	d.Outcome, d.Err = d.answer(status, err), err
	d.Duration, d.Trace = h.Now().Sub(d.began), d.span.ID()
	h.Observer.Observe(&d.Record)
}

// delivery is one request on its way, with what becomes of it.
type delivery struct {
	*Handler
	Record
	w       http.ResponseWriter
	r       *http.Request
	conn    *conn // nil where the listener isn't bounded
	span    telemetry.Span
	began   time.Time
	held    hold
	begun   bool // reading the body
	whole   bool // the body has been read
	coming  body
	wrapped event.Event
	text    [128]byte // room for the answer

	bodyDeadline time.Time
	answerBy     time.Time // from the body's last byte on
}

// deliveries are those that are done with: one takes a kilobyte.
var deliveries = sync.Pool{New: func() any { return new(delivery) }}

// done gives back what the delivery holds, and the delivery itself.
func (d *delivery) done() {
	d.held.release()
	*d = delivery{}
	deliveries.Put(d)
}

// answerTime is within how much time of the body's last byte the answer is on its way: one vendor allows a delivery a
// second for all of it.
const answerTime = 800 * time.Millisecond

// receive takes a request for an endpoint to where its event is durable. A panic on the way
// refuses this one delivery.
func (d *delivery) receive(at *verify.Endpoint) (status publish.Status, err error) {
	defer func() {
		if p := recover(); p != nil {
			// What it says might quote the body; where it happened doesn't.
			status, err = "", fmt.Errorf("%w: panic of type %T\n%s", errInternal, p, debug.Stack())
		}
	}()
	if d.r.Method != http.MethodPost {
		return "", errMethod
	}
	if err := d.read(); err != nil {
		return "", err
	}
	d.answerBy = time.Now().Add(answerTime)
	d.conn.work()
	received := d.Now()
	d.Received, d.Stages.Read = received, received.Sub(d.began)
	body, err := d.judge(at, received)
	d.Stages.Verify = d.Now().Sub(received)
	if err != nil {
		return d.quarantine(at, body, received, err)
	}
	message, err := d.wrap(at, received)
	if err != nil {
		return "", err
	}
	return d.publish(message)
}

// publish makes a message durable. Nothing that the sender does any more, hanging up included, cancels it: its
// request's context counts for nothing here. Whatever was waited for since the body's last byte, the deadline stays.
func (d *delivery) publish(m publish.Message) (publish.Status, error) {
	began := d.Now()
	defer func() { d.Stages.Publish = d.Now().Sub(began) }()
	return d.Publisher.Publish(d.span.Into(untilContext{context.Background(), d.answerBy}), m)
}

// untilContext has a deadline, and needs no timer for it: who is given it looks at the deadline where it begins to wait.
type untilContext struct {
	context.Context
	at time.Time
}

// Deadline is context.Context's.
func (c untilContext) Deadline() (time.Time, bool) { return c.at, true }

// judge returns the body as it came, and notes what an authentic delivery claims.
func (d *delivery) judge(at *verify.Endpoint, received time.Time) (body []byte, err error) {
	if d.coming.len > smallBytes {
		if !d.large.enter() {
			return nil, errBusy
		}
		defer d.large.leave()
	}
	body = d.coming.joined()
	text, err := d.parse(at.Provider, body)
	if err != nil {
		return body, d.encoded(err)
	}
	request := at.Request(d.r.Header, body, text, received)
	d.Secrets = request.Secrets
	step := d.span.Step("verify")
	d.Claims, err = at.Provider.Verify(request)
	step.End("", false)
	if err == nil || verify.IsAuthentic(err) {
		d.ID = at.ID(d.Claims)
		d.conn.verify()
	}
	return body, err
}

// parse returns the body as the provider reads it, which must be an object.
func (d *delivery) parse(p *verify.Provider, body []byte) (stringify.Text, error) {
	inner, err := p.JSON(d.r.Header, body)
	if err != nil {
		return nil, err
	}
	isCopy := len(inner) > 0 && &inner[0] != &body[0]
	if isCopy && !d.held.take(len(inner)) {
		return nil, errBusy
	}
	checked, err := stringify.Check(inner)
	if err != nil {
		return nil, err
	}
	if !d.held.take(p.TextSize(checked)) {
		return nil, errBusy
	}
	text := p.Text(checked)
	if !text.IsObject() {
		return nil, errNotObject
	}
	return text, nil
}

// wrap puts the verified body into its envelope.
func (d *delivery) wrap(at *verify.Endpoint, received time.Time) (publish.Message, error) {
	e := &d.wrapped
	*e = at.Event(d.ID, d.Claims, received)
	e.TraceParent, e.TraceState = d.span.Context()
	d.span.Authentic(e.ID, e.Type)
	size := e.Size()
	held := size
	if d.Claims.AsSent {
		held += len(d.Claims.Body) // beside the canonical form
	}
	if !d.held.take(held) {
		return publish.Message{}, errBusy
	}
	m := publish.NewMessage(d.SubjectPrefix, at.Name, e, make([]byte, 0, size))
	e.Data = nil
	d.Event = e
	return m, nil
}
