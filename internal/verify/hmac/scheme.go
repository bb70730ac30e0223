package hmac

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// scheme is how an endpoint's vendor signs: its parsed settings.
type scheme struct {
	header  string // with the signature
	format  format
	signed  []part
	time    source // unset: the time is in the signature header, or there is none
	unit    unit
	timed   bool     // there is a time
	covers  string   // payload or body, for the envelope
	events  []source // the event's name
	ids     []source // the event's id; only signed ones
	users   []source
	paths   verify.Paths
	unused  []string // headers of EVENT_ID that aren't signed
	headers []string // every header that is read

	settings  verify.Settings
	sample    string // a body
	takesSvix bool   // headers may have other names; see svix.go
}

// The coverage of a signature: values of the envelope's "signed".
const (
	wholePayload = verify.Payload // the body and the time
	Body         = "body"         // the body, and no time
)

// compiler parses settings and notes mistakes.
type compiler struct {
	scheme
	problems []verify.SettingProblem
}

// wrong notes a mistake in a setting.
func (c *compiler) wrong(variable, takes string, err error) {
	if err != nil {
		takes = fmt.Sprintf("%s (%v)", takes, err)
	}
	c.problems = append(c.problems, verify.SettingProblem{Variable: variable, Takes: takes})
}

var errMissing = errors.New("it is not set")

// compile parses settings.
func compile(s verify.Settings) (*scheme, []verify.SettingProblem) {
	c := compiler{scheme: scheme{settings: s}}
	var err error
	if c.header, err = headerName(s.SignatureHeader); err != nil {
		c.wrong("SIGNATURE_HEADER", "the name of an HTTP header", err)
	}
	if c.format, err = parseFormat(s.SignatureFormat); err != nil {
		c.wrong("SIGNATURE_FORMAT", "{hex} or {base64} with text around it, such as sha256={hex}, or a list such as t={timestamp},v1={hex}", err)
	}
	if c.signed, err = signedParts(s.Signed); err != nil {
		c.wrong("SIGNED", "{body} once, and if the vendor signs them {timestamp}, {header:Name} and text between them, such as {timestamp}.{body}", err)
	}
	c.readTime(s)
	if c.events, err = parseSources(s.Event, &c.paths); err != nil || s.Event == "" {
		c.wrong("EVENT", "header:Name or body:path, such as body:type", cmp.Or(err, errMissing))
	}
	c.readIDs(s.EventID)
	if c.users, err = parseSources(s.User, &c.paths); err != nil {
		c.wrong("USER", "body:path, such as body:user.id", err)
	}
	for _, u := range c.users {
		if u.header != "" {
			c.wrong("USER", "body:path, such as body:user.id", errors.New("a person's id isn't taken from a header"))
		}
	}
	c.listHeaders()
	if c.problems != nil {
		return nil, c.problems
	}
	return &c.scheme, nil
}

// readTime parses the place of the time, and finds out what signs it.
func (c *compiler) readTime(s verify.Settings) {
	const takes = "header:Name, body:path, signature or nothing"
	c.unit = unit(cmp.Or(s.TimestampUnit, string(seconds)))
	c.timed, c.covers = s.Timestamp != "", Body
	inSignature := s.Timestamp == "signature"
	var err error
	switch {
	case inSignature != c.format.hasTime() && len(c.format.items) > 0:
		if inSignature {
			err = errors.New("SIGNATURE_FORMAT has no {timestamp}")
		} else {
			err = errors.New("SIGNATURE_FORMAT has a {timestamp}, and a delivery has one time only: signature")
		}
		c.wrong("TIMESTAMP", takes, err)
	case c.timed && !inSignature:
		if c.time, err = parseSource(s.Timestamp, &c.paths); err != nil {
			c.wrong("TIMESTAMP", takes, err)
		}
		if c.time.signed {
			c.covers = wholePayload // a member of the body
		}
	}
	if c.time.isSet && c.time.header == c.header {
		c.wrong("TIMESTAMP", takes, errors.New("that is the header of the signature: signature"))
	}
	found := false
	for i, p := range c.signed {
		switch {
		case p.kind == header && p.text == c.header:
			c.wrong("SIGNED", "what the vendor signs", at1(p.position, "a signature doesn't sign itself"))
		case p.kind == timestamp && !c.timed:
			c.wrong("TIMESTAMP", takes, errors.New("SIGNED has {timestamp}, so TIMESTAMP must have its place"))
		case p.kind == timestamp && c.unit != rfc3339 && i > 0 && c.signed[i-1].kind == header:
			c.wrong("SIGNED", "what the vendor signs", at1(p.position, "text is needed before a time in "+string(c.unit)+", or the signed text could be split in two ways"))
		case p.kind == timestamp, p.kind == header && p.text == c.time.header:
			if found {
				c.wrong("SIGNED", "each part once", at1(p.position, "the time is there already"))
			}
			c.signed[i] = part{kind: timestamp, position: p.position}
			c.covers, found = wholePayload, true
		}
	}
}

// readIDs parses the places of the event's id. It ignores those that aren't signed: with one
// captured delivery anybody could make other events.
func (c *compiler) readIDs(list string) {
	all, err := parseSources(list, &c.paths)
	if err != nil {
		c.wrong("EVENT_ID", "header:Name or body:path, such as body:id", err)
	}
	for _, s := range all {
		for _, p := range c.signed {
			s.signed = s.signed || p.kind == header && p.text == s.header
		}
		if s.signed {
			c.ids = append(c.ids, s)
		} else {
			c.unused = append(c.unused, s.header)
		}
	}
}

// listHeaders lists the headers in use.
func (c *compiler) listHeaders() {
	add := func(name string) {
		if name != "" && !slices.Contains(c.headers, name) {
			c.headers = append(c.headers, name)
		}
	}
	add(c.header)
	add(c.time.header)
	for _, p := range c.signed {
		if p.kind == header {
			add(p.text)
		}
	}
	for _, e := range c.events {
		add(e.header)
	}
}
