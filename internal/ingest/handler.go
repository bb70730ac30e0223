// Package ingest is the public side: it receives a delivery, verifies it, wraps it into its
// envelope, publishes it and answers. It answers 200 only once the event is durable.
//
// Before its signature is verified, a delivery costs bounded memory and time, whatever its sender
// does (limiter.go, conn.go, read.go). One table maps each error to its answer (answer.go).
package ingest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// Publisher makes messages durable.
type Publisher interface {
	// Publish returns without an error only once the message is durable. Its errors wrap
	// publish.ErrTooLarge, publish.ErrNoRoom or publish.ErrUnavailable. It returns by the deadline,
	// which isn't in the context because that would take a timer for each delivery. The context only
	// carries the delivery's span, and never ends: a sender that hangs up cancels nothing.
	Publish(ctx context.Context, deadline time.Time, m publish.Message) (publish.Status, error)
}

// Record is the outcome of a request. Except Remote, an unauthenticated sender chooses nothing in it.
type Record struct {
	Endpoint string        // the one at the path, or nearly at it; "" if there is none
	Outcome  string        // a publish.Status, or an outcome of the table in answer.go
	Status   int           // of the answer
	Code     string        // of the answer, if it is a refusal
	Err      error         // why it was refused
	Remote   string        // the sender's address
	Duration time.Duration // from the headers to the answer
	Stages   Stages
	Event    event.Event     // without data; zero if none was made
	ID       string          // of an authentic delivery
	Kept     string          // why it is in quarantine, even if it was refused; "" if it isn't there
	Claims   verify.Claims   // zero unless it is authentic
	Secrets  []secret.Secret // the endpoint's; Claims.Secret is an index into them
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
	Observe          func(*Record)     // called after each answer; may keep the record's strings, but not the record
	Refused          func(RefusedConn) // called for each refused connection; may be nil
	Tracer           *telemetry.Tracer // nil: no tracing
	Now              func() time.Time
}

// Handler serves the public listener.
type Handler struct {
	Config
	endpoints map[string]*verify.Endpoint // by path
	inFlight  budget
	slots     chan struct{} // one for each large body that is being verified
	Conns     *ConnLimiter
	created   time.Time
	Stopping  atomic.Bool // every answer closes its connection
}

// New returns the handler.
func New(c Config) *Handler {
	h := &Handler{Config: c, endpoints: make(map[string]*verify.Endpoint), Conns: NewConnLimiter(maxConnections), created: time.Now()}
	h.slots = make(chan struct{}, slots(c.MaxInFlightBytes, c.MaxBodyBytes))
	h.inFlight.limit, h.inFlight.now = c.MaxInFlightBytes, c.Now
	h.Conns.budget, h.Conns.report = &h.inFlight, h.Refused
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		h.endpoints["/webhooks/"+e.Name] = e
	}
	return h
}

// InFlightBytes returns how many received bytes are held now.
func (h *Handler) InFlightBytes() int64 { return h.inFlight.inUse() }

// ServeHTTP answers one request. It compares the path as it was sent, except that one slash may follow it.
// Any other spelling is another path.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := h.newDelivery(w, r)
	defer d.done()
	var status publish.Status
	var err error
	path := r.URL.EscapedPath()
	if at, ok := h.endpoints[strings.TrimSuffix(path, "/")]; ok {
		status, err = d.receive(at)
	} else {
		d.Endpoint, err = h.notFound(path)
	}
	d.answer(status, err)
	h.Observe(&d.Record)
}

// notFound returns the error for an unknown path. If the path differs from an endpoint's only in
// slashes, capitals, escapes or the part before the name, somebody has registered a wrong address, and
// notFound also returns the endpoint's name. A vendor's default path may only lack its secrets.
func (h *Handler) notFound(path string) (nearest string, err error) {
	plain, err := url.PathUnescape(path)
	if err != nil {
		plain = path
	}
	plain = strings.TrimRight(strings.ToLower(plain), "/ ")
	plain = plain[strings.LastIndexByte(plain, '/')+1:]
	switch at, ok := h.endpoints["/webhooks/"+plain]; {
	case ok:
		return at.Name, fmt.Errorf("%w: the endpoint is at /webhooks/%s", ErrWrongPath, at.Name)
	case providers.ByName(plain) != nil:
		return "", fmt.Errorf("%w: to receive %s's deliveries set %s_SECRETS", ErrNotConfigured, plain, strings.ToUpper(plain))
	}
	return "", errNotFound
}
