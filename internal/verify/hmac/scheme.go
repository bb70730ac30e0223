package hmac

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// scheme is how an endpoint's vendor signs: its provider with the parsed settings.
type scheme struct {
	*verify.Provider
	signed []part
	time   part   // the place of the time; zero: it is in the signature header, or there is none
	events []part // the event's name
	ids    []part // the event's id; only signed ones
	users  []part
}

// The coverage of a signature: values of the envelope's "signed".
const (
	wholePayload = verify.Payload // the body and the time
	Body         = "body"         // the body, and no time
)

// compiler parses settings and notes mistakes.
type compiler struct {
	*scheme
	problems []verify.SettingProblem
}

// wrong notes a mistake in a setting, if err is one.
func (c *compiler) wrong(variable string, err error) {
	for _, s := range c.Settings.List() {
		if err != nil && s.Variable == variable {
			takes := fmt.Sprintf("%s (%v)", s.Takes, err)
			c.problems = append(c.problems, verify.SettingProblem{Variable: variable, Takes: takes})
		}
	}
}

var typePrefix = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9-]*\.)+$`)

// compile parses the provider's settings.
func compile(p *verify.Provider) (*scheme, []verify.SettingProblem) {
	c, s := compiler{scheme: &scheme{Provider: p}}, p.Settings
	var err error
	c.Header, err = headerName(s.SignatureHeader)
	c.wrong("SIGNATURE_HEADER", err)
	c.Format, err = parseFormat(s.SignatureFormat)
	c.wrong("SIGNATURE_FORMAT", err)
	c.wrong("TIMESTAMP", c.readTime(s))
	c.signed, err = c.parse(s.Signed)
	c.wrong("SIGNED", err)
	hasTime := slices.ContainsFunc(c.signed, func(p part) bool { return p.kind == timestamp })
	if hasTime && c.Timeless {
		c.wrong("TIMESTAMP", errors.New("SIGNED has {timestamp}, so TIMESTAMP must be set"))
	}
	c.Schemes = []verify.Scheme{{Name: Body}}
	if hasTime || c.time.kind == member {
		c.Schemes[0].Name = wholePayload
	}
	c.events, err = parsePlaces(s.Event, c.Paths)
	switch {
	case s.Event == "":
		err = errors.New("it is not set")
	case slices.ContainsFunc(c.events, c.isSignature):
		err = errors.New("a signature is no name of an event")
	}
	c.wrong("EVENT", err)
	c.wrong("EVENT_ID", c.readIDs(s.EventID))
	c.users, err = parsePlaces(s.User, c.Paths)
	if slices.ContainsFunc(c.users, func(u part) bool { return u.kind == header }) {
		err = errors.New("a person's id isn't taken from a header")
	}
	c.wrong("USER", err)
	if len(s.TypePrefix) > 128 || !typePrefix.MatchString(s.TypePrefix) {
		c.wrong("TYPE_PREFIX", errors.New("it is no such name, or longer than 128 characters"))
	}
	for _, p := range slices.Concat([]part{{kind: header, text: c.Header}, c.time}, c.signed, c.events) {
		if p.kind == header && !slices.Contains(c.Headers, p.text) {
			c.Headers = append(c.Headers, p.text)
		}
	}
	return c.scheme, c.problems
}

// isSignature reports whether a part is the signature's header, by either of its names.
func (s *scheme) isSignature(p part) bool {
	return p.isHeader(s.Header) || p.isHeader(s.svixName(s.Header))
}

// readTime parses the place of the time.
func (s *scheme) readTime(set verify.Settings) (err error) {
	s.Unit = verify.Unit(cmp.Or(set.TimestampUnit, string(verify.Seconds)))
	s.Timeless = set.Timestamp == ""
	inSignature := set.Timestamp == "signature"
	switch hasTime := s.TimePrefix != ""; {
	case inSignature && !hasTime && s.Encodings != nil: // without encodings, the format is wrong itself
		return errors.New("SIGNATURE_FORMAT has no {timestamp}")
	case hasTime && !inSignature:
		return errors.New("SIGNATURE_FORMAT has {timestamp}, so it must be signature")
	case inSignature, s.Timeless:
		return nil
	}
	if s.time, err = parsePlace(set.Timestamp, s.Paths); err == nil && s.isSignature(s.time) {
		err = errors.New("a time in the signature header is set as signature")
	}
	return err
}

// readIDs parses the places of the event's id. It ignores those that aren't signed: with them one
// captured delivery could become any number of events.
func (s *scheme) readIDs(list string) error {
	all, err := parsePlaces(list, s.Paths)
	for _, id := range all {
		isSigned := func(p part) bool { return p.isHeader(id.text) }
		if id.kind == member || slices.ContainsFunc(s.signed, isSigned) {
			s.ids = append(s.ids, id)
		} else {
			s.Unused = append(s.Unused, id.text)
		}
	}
	return err
}
