// Package event is the envelope that the bridge publishes: CloudEvents 1.0 in JSON's structured
// mode, the same for every vendor, with the vendor's whole body as data.
//
// Consumers written in Go need nothing else: [Parse] reads a message's payload. The rules for ids
// ([ID]) and NATS subjects ([Subject]) are here too, because consumers may want to compute them.
// It imports the standard library only.
package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// ContentType is the Content-Type header of every message.
const ContentType = "application/cloudevents+json; charset=utf-8"

const (
	specVersion     = "1.0"
	dataContentType = "application/json"
)

// Event is one event of a vendor. An attribute that is unknown is "".
type Event struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`                // 32 hex digits, see ID; also the message's Nats-Msg-Id
	Source          string `json:"source"`            // /webhooks/{endpoint}
	Type            string `json:"type"`              // a prefix for the vendor and its event name: com.example.thing.happened
	Subject         string `json:"subject,omitempty"` // {entity}/{entityid}
	Time            string `json:"time,omitempty"`    // RFC 3339: when it happened, as the vendor says
	DataContentType string `json:"datacontenttype"`   // application/json

	// The bridge's extensions.
	Provider     string `json:"provider"`           // the vendor, as the bridge names it
	Event        string `json:"event"`              // the vendor's event name, such as order.paid
	Entity       string `json:"entity,omitempty"`   // the kind of thing it is about, such as order
	EntityID     string `json:"entityid,omitempty"` // that thing's id at the vendor
	UserID       string `json:"userid,omitempty"`   // the person it is about, by the customer's own id
	ReceivedTime string `json:"receivedtime"`       // RFC 3339 in UTC, with milliseconds: when the bridge received it
	Signed       string `json:"signed"`             // payload: all of Data is signed; body: all of Data, but no time; else: only some members

	// Distributed tracing extension; "" unless tracing is on.
	TraceParent string `json:"traceparent,omitempty"`
	TraceState  string `json:"tracestate,omitempty"`

	// Data is the vendor's whole body, as JSON.stringify writes it. If the vendor signed other
	// bytes, it is the body as it came, without white space between tokens; its numbers may then
	// have more digits than a float64.
	Data json.RawMessage `json:"data"`
}

// attribute is one of an event's attributes.
type attribute struct {
	name     string
	required bool // every event of the bridge has it
	value    func(*Event) *string
}

// attributes has the event's attributes in the order in which they are written.
var attributes = []attribute{
	{"specversion", true, func(e *Event) *string { return &e.SpecVersion }},
	{"id", true, func(e *Event) *string { return &e.ID }},
	{"source", true, func(e *Event) *string { return &e.Source }},
	{"type", true, func(e *Event) *string { return &e.Type }},
	{"subject", false, func(e *Event) *string { return &e.Subject }},
	{"time", false, func(e *Event) *string { return &e.Time }},
	{"datacontenttype", true, func(e *Event) *string { return &e.DataContentType }},
	{"provider", true, func(e *Event) *string { return &e.Provider }},
	{"event", true, func(e *Event) *string { return &e.Event }},
	{"entity", false, func(e *Event) *string { return &e.Entity }},
	{"entityid", false, func(e *Event) *string { return &e.EntityID }},
	{"userid", false, func(e *Event) *string { return &e.UserID }},
	{"receivedtime", true, func(e *Event) *string { return &e.ReceivedTime }},
	{"signed", true, func(e *Event) *string { return &e.Signed }},
	{"traceparent", false, func(e *Event) *string { return &e.TraceParent }},
	{"tracestate", false, func(e *Event) *string { return &e.TraceState }},
}

// New completes an event that has the vendor's data and attributes as they were sent. typePrefix is that
// of the type, with the final dot.
//
// A character that CloudEvents forbids becomes _ in the event's name and type, and so does invalid
// UTF-8. Any other attribute with such a character is left out.
func New(e Event, endpoint, typePrefix string, received time.Time) Event {
	e.SpecVersion, e.DataContentType = specVersion, dataContentType
	e.Event = clean(e.Event)
	e.Entity, e.EntityID, e.UserID = allowedOrNone(e.Entity), allowedOrNone(e.EntityID), allowedOrNone(e.UserID)
	// The composed texts are parts of one string, to save allocations.
	const source = "/webhooks/"
	var room [32]byte // AppendFormat needs nine digits for a moment
	at := received.UTC().AppendFormat(room[:0], "2006-01-02T15:04:05.000Z")
	all := source + endpoint + typePrefix + e.Event + e.Entity + "/" + e.EntityID + string(at)
	next := func(n int) (text string) {
		text, all = all[:n], all[n:]
		return text
	}
	e.Source = next(len(source) + len(endpoint))
	e.Type = next(len(typePrefix) + len(e.Event))
	if subject := next(len(e.Entity) + 1 + len(e.EntityID)); e.Entity != "" && e.EntityID != "" {
		e.Subject = subject
	}
	e.ReceivedTime = all
	return e
}

// allowed reports whether CloudEvents' String type may hold the character: no controls, no noncharacters,
// no surrogates (CloudEvents 1.0.2, Type System). A Go string holds a surrogate only as invalid UTF-8.
func allowed(c rune) bool {
	return ' ' <= c && c <= '~' || !unicode.In(c, unicode.Cc, unicode.Noncharacter_Code_Point)
}

// clean replaces forbidden characters and invalid UTF-8 by _.
func clean(text string) string {
	return strings.Map(func(c rune) rune {
		if allowed(c) {
			return c
		}
		return '_'
	}, strings.ToValidUTF8(text, "_"))
}

// allowedOrNone returns text if it may be an attribute, else "": the attribute is left out.
func allowedOrNone(text string) string {
	if clean(text) != text {
		return ""
	}
	return text
}

// Parse reads the payload of a message that the bridge published: a CloudEvent with the attributes that
// every event of the bridge has. Parse ignores unknown attributes, because later versions of the bridge
// may add some. The names of attributes are case-sensitive.
func Parse(payload []byte) (Event, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(payload, &members); err != nil {
		return Event{}, errors.New("reading event: not a JSON object")
	}
	var e Event
	for _, a := range attributes {
		text, ok := members[a.name]
		value := a.value(&e)
		if !ok {
			if a.required {
				return Event{}, fmt.Errorf("reading event: it has no %s", a.name)
			}
			continue
		}
		if err := json.Unmarshal(text, value); err != nil {
			return Event{}, fmt.Errorf("reading event: %s: %w", a.name, err)
		}
		switch {
		case a.required && *value == "":
			return Event{}, fmt.Errorf("reading event: its %s is empty", a.name)
		case value == &e.SpecVersion && e.SpecVersion != specVersion: // the other attributes may have other rules
			return Event{}, fmt.Errorf("reading event: specversion is %q, not %q", e.SpecVersion, specVersion)
		}
	}
	e.Data = members["data"]
	if len(e.Data) == 0 {
		return Event{}, errors.New("reading event: it has no data")
	}
	return e, nil
}

// Member returns the value in Data at a path of names; nil if there is none. Names are case-sensitive.
//
// encoding/json decodes into a struct without regard to case: "DATA" fills the field for "data",
// and the last one wins. If only a part of Data is signed (see Event.Signed), an unsigned member
// could win over a signed one.
func (e *Event) Member(path ...string) json.RawMessage {
	value := e.Data
	for _, name := range path {
		var members map[string]json.RawMessage // a map's keys are the names
		if json.Unmarshal(value, &members) != nil {
			return nil
		}
		value = members[name]
	}
	return value
}
