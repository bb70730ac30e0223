package verify

import (
	"net/http"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// Endpoint is the path /webhooks/{Name} and how its deliveries are verified.
type Endpoint struct {
	Name      string
	Provider  *Provider
	Secrets   func() []secret.Secret // the secrets in force, current first
	Scheme    string                 // one of the provider's Signatures
	Freshness string                 // one of the provider's Freshness
	Tolerance time.Duration
}

// Request returns the request to the provider to verify a delivery: raw is the body as it came,
// body its canonical form.
func (e *Endpoint) Request(header http.Header, raw []byte, body stringify.Text, now time.Time) Request {
	return Request{
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

// ID returns the id of an authentic delivery's event (ADR 5).
func (e *Endpoint) ID(c Claims) string {
	return event.ID(e.Name, c.IDText, c.IDName)
}

// Event returns the envelope of a verified delivery.
func (e *Endpoint) Event(id string, c Claims, received time.Time) event.Event {
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
