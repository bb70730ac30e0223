// Package endpoint judges a delivery at an endpoint and makes the message of an authentic one, in the same way
// for HTTP and for the quarantine. It reads no clock and knows neither the HTTP server nor NATS.
package endpoint

import (
	"net/http"
	"slices"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/durable"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// Endpoint is one path, /webhooks/{Name}, and how its deliveries are verified.
type Endpoint struct {
	Name      string
	Provider  *verify.Provider
	Secrets   func() []secret.Secret // those in force now, current first
	Scheme    string                 // one of the provider's Signatures
	Freshness string                 // one of the provider's Freshness
	Tolerance time.Duration
}

// Request is what the provider is asked about a delivery: raw is the body as it came, body its canonical
// form.
func (e *Endpoint) Request(header http.Header, raw []byte, body stringify.Text, now time.Time) verify.Request {
	return verify.Request{
		Header:    header,
		Raw:       raw,
		Body:      body,
		Secrets:   e.Secrets(),
		Scheme:    e.Scheme,
		Freshness: e.Freshness,
		Tolerance: e.Tolerance,
		Now:       now,
	}
}

// ID is the id of the event that an authentic delivery is about (ADR 5).
func (e *Endpoint) ID(c verify.Claims) string {
	if c.IDText != nil {
		return event.ID(e.Name, c.IDText, nil)
	}
	return event.ID(e.Name, c.SignedText, c.IDName)
}

// Event puts a verified delivery into its envelope.
func (e *Endpoint) Event(id string, c verify.Claims, received time.Time) event.Event {
	return event.New(event.Facts{
		ID:         id,
		Endpoint:   e.Name,
		Provider:   e.Provider.Name,
		TypePrefix: e.Provider.TypePrefix,
		Name:       c.Name,
		Entity:     c.Entity,
		EntityID:   c.EntityID,
		UserID:     c.UserID,
		Time:       c.Time,
		Received:   received,
		Signed:     c.Scheme,
		Body:       c.Body,
	})
}

// Message is what is published of an event; prefix begins its subject. Its data is appended to room.
func (e *Endpoint) Message(prefix string, of *event.Event, room []byte) durable.Message {
	with := headers
	if of.TraceParent != "" {
		with = append(slices.Clip(with), durable.Header{Name: "traceparent", Value: of.TraceParent})
	}
	if of.TraceState != "" {
		with = append(slices.Clip(with), durable.Header{Name: "tracestate", Value: of.TraceState})
	}
	return durable.Message{
		Kind:    durable.Event,
		Subject: event.Subject(prefix, e.Name, of.Event),
		ID:      of.ID,
		Headers: with,
		Data:    of.Append(room),
	}
}

var headers = []durable.Header{{Name: "Content-Type", Value: event.ContentType}}
