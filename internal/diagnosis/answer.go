package diagnosis

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/durable"
	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// answer is what the bridge makes of a delivery.
type answer struct {
	status  int
	code    string
	outcome string
	err     error
	claims  verify.Claims
	window  window // in which it is accepted, where it is authentic and tells its time
}

// request is what the handler is asked.
type request struct {
	method, path string
	encoded      bool // keep its Content-Encoding
}

// ask hands a delivery to the bridge's handler, as if it were received then.
func (d *diagnosing) ask(r request, received time.Time) answer {
	one := observer{}
	h := ingest.Config{
		SubjectPrefix: "webhooks", MaxBodyBytes: d.MaxBodyBytes, MaxInFlightBytes: 1 << 40, Quarantine: d.Quarantine,
		Publisher: nowhere{}, Observer: &one, Now: func() time.Time { return received },
	}
	for _, e := range d.Endpoints {
		h.Endpoints = append(h.Endpoints, e.Endpoint)
	}
	header := make(http.Header)
	for _, f := range d.Delivery.Header {
		if r.encoded || !strings.EqualFold(f.Name, "Content-Encoding") {
			header.Add(f.Name, f.Value)
		}
	}
	header.Del("Expect") // nobody waits
	u, err := url.Parse(r.path)
	if err != nil {
		u = &url.URL{Path: r.path}
	}
	w := writer{header: make(http.Header)}
	ingest.New(h).ServeHTTP(&w, (&http.Request{
		Method: r.method, URL: u, Header: header, ContentLength: int64(len(d.Delivery.Body)),
		Body: io.NopCloser(bytes.NewReader(d.Delivery.Body)),
	}).WithContext(context.Background()))
	var problem struct{ Code string }
	_ = json.Unmarshal(w.body, &problem) // it is the handler's
	a := answer{status: w.status, code: problem.Code, outcome: one.Outcome, err: one.Err, claims: one.Claims}
	if one.Outcome == string(durable.Kept) { // the record doesn't say why
		without := *d
		without.Quarantine = false
		a.err = without.ask(r, received).err
	}
	return a
}

// observer keeps what became of the one request.
type observer struct{ ingest.Record }

func (o *observer) Observe(r *ingest.Record) {
	o.Record = *r
	o.Event, o.Claims.SignedText, o.Claims.Body = nil, nil, nil // the handler's
}

// nowhere takes every message and keeps none.
type nowhere struct{}

func (nowhere) Publish(context.Context, durable.Message) (durable.Status, error) {
	return durable.Stored, nil
}

// writer holds one answer.
type writer struct {
	header http.Header
	status int
	body   []byte
}

func (w *writer) Header() http.Header             { return w.header }
func (w *writer) WriteHeader(status int)          { w.status = status }
func (w *writer) SetReadDeadline(time.Time) error { return nil } // all is read already
func (w *writer) Write(text []byte) (int, error) {
	w.body = append(w.body, text...)
	return len(text), nil
}

// examineAnswer asks what the bridge answers. Where that is for something that comes before the body, it returns
// what it would answer without that.
func (d *diagnosing) examineAnswer() answer {
	right := request{method: http.MethodPost, path: "/webhooks/" + d.at.Name}
	asIs := request{method: d.Delivery.Method, path: d.path(), encoded: true}
	if asIs.method == "" {
		asIs.method = right.method
	}
	if d.At != "" || asIs.path == "" {
		asIs.path = right.path
	}
	first := d.judge(asIs)
	d.report.Status, d.report.Code, d.report.Outcome = first.status, first.code, first.outcome
	d.report.Accepted = first.outcome == string(durable.Stored)
	d.answerStep(first)
	switch first.status {
	case http.StatusNotFound:
		d.cause(Cause{
			"path", true, "the request is for " + humanize.Text(asIs.path) + ", and the endpoint is at " + right.path + ", to the letter",
			"register the address with " + right.path + " at its end at the vendor, or have the proxy pass the path on unchanged",
		})
	case http.StatusMethodNotAllowed:
		d.cause(Cause{
			"method", true, "the method is " + asIs.method + ", and an endpoint takes POST only",
			"if a redirect made it so, from http to https as a rule, register the address that it leads to",
		})
	case http.StatusUnsupportedMediaType:
		d.cause(Cause{
			"content_encoding", true, "the body is compressed",
			"have the proxy pass it on uncompressed. What is said above holds for the bytes as they are here",
		})
	case http.StatusRequestEntityTooLarge:
		d.cause(Cause{
			"body_too_large", true, fmt.Sprintf("the body has %d bytes, and MAX_BODY_BYTES is %d", len(d.Delivery.Body), d.MaxBodyBytes),
			"raise MAX_BODY_BYTES, and MAX_IN_FLIGHT_BYTES with it, if the vendor means to send so much",
		})
		return first
	default:
		return first
	}
	return d.judge(right)
}

// judge asks the handler. Where it isn't known when the delivery was received, and it is old by now, the last time at
// which it would have been accepted is taken, if there is one.
func (d *diagnosing) judge(r request) answer {
	received := d.Received
	if received.IsZero() {
		received = d.Now
	}
	a := d.ask(r, received)
	a.window = d.windowOf(a.claims)
	if w := a.window; d.Received.IsZero() && w.isSet() && !w.isEmpty() && d.Now.After(w.to) {
		a = d.ask(r, w.to)
		a.window = w
	}
	return a
}

func (d *diagnosing) answerStep(a answer) {
	switch {
	case a.outcome == string(durable.Stored):
		d.step("answer", "200: it is published")
	case a.status == http.StatusOK:
		d.step("answer", "200 %s: it is not published", a.outcome)
	case a.code == a.outcome:
		d.step("answer", "%d %s", a.status, a.code)
	default:
		d.step("answer", "%d %s, in the log and the metrics %s", a.status, a.code, a.outcome)
	}
}
