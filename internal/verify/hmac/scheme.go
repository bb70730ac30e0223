package hmac

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// scheme is how an endpoint's vendor signs: its parsed settings.
type scheme struct {
	header  string // with the signature
	format  verify.Format
	signed  []part
	time    part // its place; no place: it is in the signature header, or there is none
	unit    verify.Unit
	timed   bool   // there is a time
	covers  string // payload or body, for the envelope
	events  []part // the event's name
	ids     []part // the event's id; only signed ones
	users   []part
	paths   verify.Paths
	unused  []string // headers of EVENT_ID that aren't signed
	headers []string // every header that is read

	provider *verify.Provider
	settings verify.Settings
	sample   string // a body
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

// wrong notes a mistake in a setting, if err is one.
func (c *compiler) wrong(variable string, err error) {
	for _, s := range c.settings.List() {
		if err != nil && s.Variable == variable {
			takes := fmt.Sprintf("%s (%v)", s.Takes, err)
			c.problems = append(c.problems, verify.SettingProblem{Variable: variable, Takes: takes})
		}
	}
}

var typePrefix = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9-]*\.)+$`)

// compile parses settings.
func compile(s verify.Settings) (*scheme, []verify.SettingProblem) {
	c := compiler{scheme: scheme{settings: s}}
	var err error
	c.header, err = headerName(s.SignatureHeader)
	c.wrong("SIGNATURE_HEADER", err)
	c.format, err = parseFormat(s.SignatureFormat)
	c.wrong("SIGNATURE_FORMAT", err)
	c.readTime(s)
	c.signed, err = c.parse(s.Signed)
	c.wrong("SIGNED", err)
	if slices.ContainsFunc(c.signed, func(p part) bool { return p.kind == timestamp }) {
		c.covers = wholePayload
		if !c.timed {
			c.wrong("TIMESTAMP", errors.New("SIGNED has {timestamp}, so TIMESTAMP must have its place"))
		}
	}
	if c.events, err = parsePlaces(s.Event, &c.paths); s.Event == "" {
		err = errors.New("it is not set")
	}
	c.wrong("EVENT", err)
	c.readIDs(s.EventID)
	c.users, err = parsePlaces(s.User, &c.paths)
	if slices.ContainsFunc(c.users, func(u part) bool { return u.kind == header }) {
		err = errors.New("a person's id isn't taken from a header")
	}
	c.wrong("USER", err)
	if len(s.TypePrefix) > 128 || !typePrefix.MatchString(s.TypePrefix) {
		c.wrong("TYPE_PREFIX", errors.New("it is too long or no such name"))
	}
	c.listHeaders()
	if c.problems != nil {
		return nil, c.problems
	}
	return &c.scheme, nil
}

// readTime parses the place of the time.
func (c *compiler) readTime(s verify.Settings) {
	c.unit = verify.Unit(cmp.Or(s.TimestampUnit, string(verify.Seconds)))
	c.timed, c.covers = s.Timestamp != "", Body
	inSignature := s.Timestamp == "signature"
	switch isThere := c.format.HasTime(); {
	case c.format.Items == nil: // it has a mistake
	case inSignature && !isThere:
		c.wrong("TIMESTAMP", errors.New("SIGNATURE_FORMAT has no {timestamp}"))
	case isThere && !inSignature:
		c.wrong("TIMESTAMP", errors.New("SIGNATURE_FORMAT has a {timestamp}, and a delivery has one time only: signature"))
	}
	if c.timed && !inSignature {
		var err error
		c.time, err = parsePlace(s.Timestamp, &c.paths)
		c.wrong("TIMESTAMP", err)
		if c.time.kind == member {
			c.covers = wholePayload // a member of the body
		}
	}
	if c.time.isHeader(c.header) {
		c.wrong("TIMESTAMP", errors.New("that is the header of the signature: signature"))
	}
}

// readIDs parses the places of the event's id. It ignores those that aren't signed: with one
// captured delivery anybody could make other events.
func (c *compiler) readIDs(list string) {
	all, err := parsePlaces(list, &c.paths)
	c.wrong("EVENT_ID", err)
	for _, id := range all {
		isSigned := func(p part) bool { return p.isHeader(id.text) }
		if id.kind == member || slices.ContainsFunc(c.signed, isSigned) {
			c.ids = append(c.ids, id)
		} else {
			c.unused = append(c.unused, id.text)
		}
	}
}

// listHeaders lists the headers in use.
func (c *compiler) listHeaders() {
	for _, p := range slices.Concat([]part{{kind: header, text: c.header}, c.time}, c.signed, c.events) {
		if p.kind == header && !slices.Contains(c.headers, p.text) {
			c.headers = append(c.headers, p.text)
		}
	}
}
