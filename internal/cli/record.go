package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/durable"
	"github.com/ade15e70/webhook-bridge/internal/spool"
)

// line is a record as `bridge spool export` writes it and import reads it.
type line struct {
	Kind      string            `json:"kind"`
	Subject   string            `json:"subject"`
	ID        string            `json:"id"`
	Headers   map[string]string `json:"headers,omitempty"`
	Arrived   time.Time         `json:"arrived"`
	Attempted time.Time         `json:"attempted,omitzero"`
	Reason    string            `json:"reason,omitempty"`
	Data      []byte            `json:"data"`
}

// formatRecord returns the record's line, with its end.
func formatRecord(r *spool.Record) ([]byte, error) {
	l := line{Kind: r.Kind.String(), Subject: r.Subject, ID: r.ID, Arrived: r.Arrived, Attempted: r.Attempted, Reason: r.Reason, Data: r.Data}
	if len(r.Headers) > 0 {
		l.Headers = make(map[string]string, len(r.Headers))
	}
	for _, h := range r.Headers {
		l.Headers[h.Name] = h.Value
	}
	text, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("printing record: %w", err)
	}
	return append(text, '\n'), nil
}

// parseRecord reads a record's line.
func parseRecord(text []byte) (r spool.Record, err error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return r, errors.New("not a record in JSON, as `bridge spool export` writes it")
	}
	r = spool.Record{
		Message: durable.Message{Kind: durable.Kinds, Subject: l.Subject, ID: l.ID, Data: l.Data},
		Arrived: l.Arrived, Attempted: l.Attempted, Reason: l.Reason,
	}
	for kind := range durable.Kind(durable.Kinds) {
		if kind.String() == l.Kind {
			r.Kind = kind
		}
	}
	switch {
	case r.Kind == durable.Kinds:
		return r, fmt.Errorf("kind: got %q; takes %s, %s or %s", l.Kind, durable.Event, durable.Quarantined, durable.Refused)
	case !isSubject(l.Subject) || strings.ContainsAny(l.Subject, "*>"):
		return r, fmt.Errorf("subject: got %q; takes one to publish on", l.Subject)
	case l.ID == "":
		return r, errors.New("it has no id")
	case l.Arrived.IsZero():
		return r, errors.New("it has no time of arrival")
	case len(l.Data) == 0:
		return r, errors.New("it has no data")
	}
	for name, value := range l.Headers {
		r.Headers = append(r.Headers, durable.Header{Name: name, Value: value})
	}
	return r, nil
}

// isBlank reports whether a line has nothing in it.
func isBlank(text []byte) bool { return len(bytes.TrimSpace(text)) == 0 }
