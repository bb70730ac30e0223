package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"maps"
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

// Request returns the provider's request to verify a delivery.
func (e *Endpoint) Request(header http.Header, raw []byte, body stringify.Text, now time.Time) Request {
	return Request{
		Header: header, Raw: raw, Body: body, Secrets: e.Secrets(), Now: now,
		Scheme: e.Scheme, Freshness: e.Freshness, Tolerance: e.Tolerance,
	}
}

// ID returns the id of an authentic delivery's event (ADR 5).
func (e *Endpoint) ID(c Claims) string {
	return event.ID(e.Name, c.IDText, c.IDName)
}

// Event returns the envelope of a verified delivery.
func (e *Endpoint) Event(id string, c Claims, received time.Time) event.Event {
	return event.New(event.Event{
		ID: id, Provider: e.Provider.Name, Event: c.Name, Entity: c.Entity, EntityID: c.EntityID, UserID: c.UserID,
		Time: c.Time, Signed: c.Scheme, Data: json.RawMessage(c.Body),
	}, e.Name, e.Provider.TypePrefix, received)
}

// Seal returns the proof that quarantine keeps of an authentic delivery instead of its signature: an
// HMAC over the endpoint, the scheme, the body and the signed text, under the secret that verified
// the delivery. Only an owner of that secret can make or check a seal. The sealed text begins with a
// zero byte, and no vendor's signed text does. So a seal is never a signature, and readers of the
// quarantine can't send a delivery again. Seal also overwrites a signature in the body.
func (e *Endpoint) Seal(c Claims, key secret.Secret, body []byte) string {
	if s := e.Provider.Scheme(c.Scheme); len(s.Members) > 0 {
		mask(body, e.Provider.Signature.Member)
	}
	return Hex.Encode(key.MAC(e.sealedText(c.Scheme, body, c.SignedText)...))
}

func (e *Endpoint) sealedText(scheme string, body []byte, signed [][]byte) [][]byte {
	whole, part := sha256.Sum256(body), sha256.New()
	for _, p := range signed {
		part.Write(p)
	}
	return [][]byte{[]byte("\x00webhook-bridge quarantine\x00" + e.Name + "\x00" + scheme + "\x00"), whole[:], part.Sum(nil)}
}

// Sealed returns the provider's request to verify a delivery from quarantine: the seal replaces the
// signature, and Now is when the delivery was received. kept are the headers that Keep returned.
func (e *Endpoint) Sealed(seal string, kept http.Header, body []byte, text stringify.Text, received time.Time) Request {
	mac, ok := Decode(seal, []Encoding{Hex})
	if !ok {
		mac = MAC{} // no text has it
	}
	r := e.Request(e.Provider.withMAC(kept, mac), body, text, received)
	r.Sealed = func(scheme string, signed [][]byte) [][]byte { return e.sealedText(scheme, body, signed) }
	return r
}

// Keep returns the headers to keep in quarantine, with zeros for the signature: those that the
// provider's settings name; nil for a provider without settings.
func (p *Provider) Keep(h http.Header) http.Header {
	if p.Headers == nil {
		return nil
	}
	h, _ = p.Rename(h) // no error: they are verified
	kept := http.Header{}
	for _, name := range append([]string{"Content-Type"}, p.Headers...) {
		if values := h[name]; values != nil {
			kept[name] = values
		}
	}
	return p.withMAC(kept, MAC{})
}

// SignHeaders returns kept headers with the signature of the signed text.
func (p *Provider) SignHeaders(kept http.Header, key secret.Secret, signed [][]byte) http.Header {
	return p.withMAC(kept, key.MAC(signed...))
}

// withMAC returns headers with the MAC as their signature.
func (p *Provider) withMAC(h http.Header, mac MAC) http.Header {
	at := &p.Signature
	changed := http.Header{}
	maps.Copy(changed, h)
	_, time, _ := at.Format.Read(nil, h.Get(at.Header))
	changed.Set(at.Header, at.Format.Write(mac, time))
	return changed
}

// mask overwrites the text of a member of a JSON object with asterisks.
func mask(body []byte, member string) {
	if member == "" {
		return
	}
	inside := stringify.Text(body).Member(member).Inside()
	copy(inside, bytes.Repeat([]byte("*"), len(inside)))
}
