// Package quarantine keeps deliveries that have a correct signature and could not be published. A delivery's
// message has the body as received, and in its headers all that is needed to verify the delivery again.
// [Store] is the stream of these messages. The package doesn't know the vendors.
package quarantine

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// Unreadable is the reason for keeping a delivery that was answered 200. Others were answered 401.
const Unreadable = "unreadable"

// Delivery is a delivery in quarantine. In JSON it has neither its proof nor its content.
type Delivery struct {
	ID       string      `json:"id"` // of the signed text; also the event's, unless that depends on the event's name (ADR 5)
	Endpoint string      `json:"endpoint"`
	Provider string      `json:"provider"`
	Reason   string      `json:"reason"` // why it was not published: unreadable, contradiction, stale or future
	Received time.Time   `json:"received"`
	Seal     string      `json:"-"` // replaces the signature: proves that the delivery was verified; see verify.Seal
	Headers  http.Header `json:"-"` // those that are signed or name the event; never a signature
	Body     []byte      `json:"-"` // as received, but for a signature in it
}

// The headers of a message, besides JetStream's own.
const (
	idHeader       = "Webhook-Id"
	endpointHeader = "Webhook-Endpoint"
	providerHeader = "Webhook-Provider"
	reasonHeader   = "Webhook-Reason"
	receivedHeader = "Webhook-Received" // RFC 3339 in UTC
	sealHeader     = "Webhook-Seal"
	headersHeader  = "Webhook-Headers" // encoded as a form, which is ASCII
)

// Prefix returns the prefix of the quarantine's subjects, beside the events' prefix and not below it.
func Prefix(events string) string { return events + "-quarantine" }

// Stream returns the name of the quarantine's stream.
func Stream(events string) string { return events + "_QUARANTINE" }

// Message returns the delivery's message, on the subject {prefix}-quarantine.{endpoint}.{reason}. The prefix
// is that of the events.
func (d Delivery) Message(prefix string) publish.Message {
	kind, id := publish.Quarantined, d.ID
	if d.Reason != Unreadable {
		// Its id is another one, because newer refused deliveries may displace it: if the delivery comes
		// again and is answered 200, it must not count as a duplicate.
		sum := sha256.Sum256([]byte(publish.Refused.String() + "\x00" + d.ID))
		kind, id = publish.Refused, hex.EncodeToString(sum[:16])
	}
	m := publish.Message{
		Kind:    kind,
		Subject: Prefix(prefix) + "." + d.Endpoint + "." + d.Reason,
		ID:      id,
		Headers: []publish.Header{
			{Name: "Content-Type", Value: "application/json"},
			{Name: idHeader, Value: d.ID},
			{Name: endpointHeader, Value: d.Endpoint},
			{Name: providerHeader, Value: d.Provider},
			{Name: reasonHeader, Value: d.Reason},
			{Name: receivedHeader, Value: d.Received.UTC().Format(time.RFC3339Nano)},
			{Name: sealHeader, Value: d.Seal},
		},
		Data: d.Body,
	}
	if d.Headers != nil {
		m.Headers = append(m.Headers, publish.Header{Name: headersHeader, Value: url.Values(d.Headers).Encode()})
	}
	return m
}

// ids matches the ids of deliveries, which people copy into a shell.
var ids = regexp.MustCompile(`^[0-9a-z]+$`)

// Parse parses a message of the quarantine's stream. headers returns a header's value, or "".
func Parse(headers func(name string) string, body []byte) (Delivery, error) {
	d := Delivery{
		ID: headers(idHeader), Endpoint: headers(endpointHeader), Provider: headers(providerHeader), Reason: headers(reasonHeader),
		Seal: headers(sealHeader), Body: body,
	}
	if !ids.MatchString(d.ID) || d.Endpoint == "" || d.Provider == "" || d.Reason == "" || d.Seal == "" {
		return Delivery{}, errors.New("reading quarantined delivery: not a message of the bridge: a header is missing or the id is invalid")
	}
	if form := headers(headersHeader); form != "" {
		kept, err := url.ParseQuery(form)
		if err != nil {
			return Delivery{}, fmt.Errorf("reading quarantined delivery: %s: not a form", headersHeader)
		}
		d.Headers = http.Header(kept)
	}
	err := d.Received.UnmarshalText([]byte(headers(receivedHeader)))
	if _, unwritable := d.Received.MarshalText(); cmp.Or(err, unwritable) != nil {
		return Delivery{}, fmt.Errorf("reading quarantined delivery: %s: not a time", receivedHeader)
	}
	return d, nil
}
