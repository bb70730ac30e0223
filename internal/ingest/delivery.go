package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// delivery is a request that is being worked on, with its record. Its steps are, in this order: receive,
// which calls read, verify, then wrap or quarantine, and publish; answer; done.
type delivery struct {
	*Handler
	Record
	w     http.ResponseWriter
	r     *http.Request
	conn  *conn
	at    *verify.Endpoint // nil if there is none at the path
	span  telemetry.Span
	began time.Time
	body  body
	reply [128]byte // buffer for the answer

	isReading bool      // has begun to read the body
	answerBy  time.Time // zero until the body is whole
}

// deliveries holds finished ones for reuse: one takes a kilobyte.
var deliveries = sync.Pool{New: func() any { return new(delivery) }}

// newDelivery returns the delivery of a request whose head has arrived.
func (h *Handler) newDelivery(w http.ResponseWriter, r *http.Request) *delivery {
	d := deliveries.Get().(*delivery)
	d.Handler, d.w, d.r, d.conn = h, w, r, connOf(r)
	d.Remote = r.RemoteAddr
	d.began = time.Now()
	// Every request needs the deadline, because net/http reads the rest of the body before it sends an
	// answer. An error means that the connection is closed; then reading fails, too.
	_ = d.conn.SetReadDeadline(d.began.Add(bodyTimeout))
	return d
}

// done releases the delivery for reuse, with its block.
func (d *delivery) done() {
	d.body.reset()
	*d = delivery{body: d.body}
	deliveries.Put(d)
}

// answerTime is the time from the body's last byte to the answer. One vendor allows a second for
// the whole delivery.
const answerTime = 800 * time.Millisecond

// receive handles a request for an endpoint until its event is durable. A panic fails this delivery
// alone.
func (d *delivery) receive(at *verify.Endpoint) (status publish.Status, err error) {
	defer func() {
		if p := recover(); p != nil {
			// The panic's value might quote the body; the stack doesn't.
			status, err = "", fmt.Errorf("%w: panic of type %T\n%s", ErrInternal, p, debug.Stack())
		}
	}()
	d.at, d.Endpoint = at, at.Name
	d.span = d.Tracer.Receive(d.r, at.Name)
	if d.r.Method != http.MethodPost {
		return "", errMethod
	}
	if err := d.read(); err != nil {
		return "", err
	}
	arrived := time.Now()
	d.answerBy = arrived.Add(answerTime)
	d.conn.setBusy()
	d.Received, d.Stages.Read = d.Now(), arrived.Sub(d.began)
	body, err := d.verify()
	d.Stages.Verify = time.Since(arrived)
	if err != nil {
		return d.quarantine(body, err)
	}
	message, err := d.wrap()
	if err != nil {
		return "", err
	}
	return d.publish(message)
}

// verify parses and verifies the body, and notes the claims of an authentic delivery. It returns the
// body as it came.
func (d *delivery) verify() (body []byte, err error) {
	if d.body.len > smallBytes {
		select {
		case d.slots <- struct{}{}:
			defer func() { <-d.slots }()
		case <-time.After(slotTimeout):
			return nil, errBusy
		}
	}
	body = d.body.joined()
	text, err := d.at.Provider.Parse(d.r.Header, body, d.charge)
	if err != nil {
		return body, d.checkEncoding(err)
	}
	request := d.at.Request(d.r.Header, body, text, d.Received)
	d.Secrets = request.Secrets
	step := d.span.Step("verify")
	d.Claims, err = d.at.Provider.Verify(request)
	step.End("", false)
	if err == nil || verify.IsAuthentic(err) {
		d.ID = d.at.ID(d.Claims)
		d.conn.entry.verified = true
	}
	return body, err
}

// charge charges memory to the budget.
func (d *delivery) charge(size int) error {
	if !d.conn.held.take(size, false) {
		return errBusy
	}
	return nil
}

// checkEncoding returns errContentEncoding if err means that the body isn't JSON, and there is a
// Content-Encoding. Else it returns err. The header alone isn't judged: some senders write a charset there.
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
func (d *delivery) wrap() (publish.Message, error) {
	e := &d.Event
	*e = d.at.Event(d.ID, d.Claims, d.Received)
	e.TraceParent, e.TraceState = d.span.Context()
	m := publish.NewMessage(d.SubjectPrefix, d.at.Name, e)
	e.Data = nil // the message has it
	held := len(m.Data)
	if d.Claims.AsSent {
		held += len(d.Claims.Body) // besides the canonical form
	}
	return m, d.charge(held)
}

// publish makes a message durable. It doesn't use the request's context, which ends when the sender hangs
// up. Its deadline counts from the body's last byte.
func (d *delivery) publish(m publish.Message) (publish.Status, error) {
	began := time.Now()
	status, err := d.Publisher.Publish(d.span.Into(context.Background()), d.answerBy, m)
	d.Stages.Publish = time.Since(began)
	return status, err
}
