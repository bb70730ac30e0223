package hmac

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// takesForms matches a SIGNED with which the body may be a form. Unlike a JSON object, a form may
// begin or end with another form. So the body must be the last part, and every value before it must
// have text behind it.
var takesForms = regexp.MustCompile(`^[^{}]*(\{[^{}]*\}[^{}]+)*\{body\}$`)

// configure returns the provider of one endpoint.
func configure(p verify.Provider, endpoint string, set verify.Settings) (*verify.Provider, map[string]error) {
	p.Settings = override(p.Settings, set)
	p.TypePrefix = cmp.Or(p.Settings.TypePrefix, "webhook."+endpoint+".")
	p.Settings.TypePrefix = p.TypePrefix
	p.Paths = new(verify.Paths)
	s, problems := compile(&p)
	if problems != nil {
		return nil, problems
	}
	p.SignedText, p.Read, p.Compose, p.SignSent, p.Explain = s.signedText, s.read, s.compose, s.sign, s.explain
	if s.time.kind == member {
		p.Times = []string{s.time.text}
	}
	p.Forms = takesForms.MatchString(p.Settings.Signed)
	return &p, nil
}

// override returns base with the settings that are set.
func override(base, set verify.Settings) verify.Settings {
	to, from := reflect.ValueOf(&base).Elem(), reflect.ValueOf(set)
	for i := range to.NumField() {
		if text := from.Field(i).String(); text != "" {
			to.Field(i).SetString(text)
		}
	}
	return base
}

// scheme is how an endpoint's vendor signs: its provider with the parsed settings.
type scheme struct {
	*verify.Provider
	signed []part
	time   part   // the place of the time; zero: the signature header has it, or there is none
	events []part // the event's name
	ids    []part // the event's id; only signed ones
	users  []part // the person's id
}

// Body is the envelope's "signed" for a signature that covers the body, and no time.
const Body = "body"

var typePrefix = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9-]*\.)+$`)

// compile parses the provider's settings. It returns the mistakes in them by variable.
func compile(p *verify.Provider) (*scheme, map[string]error) {
	s, set, problems := &scheme{Provider: p}, p.Settings, map[string]error{}
	s.Header, problems["SIGNATURE_HEADER"] = headerName(set.SignatureHeader)
	if len(s.OtherNames) > 0 && s.Header != s.OtherNames[0][0] {
		s.OtherNames = nil
	}
	s.Format, problems["SIGNATURE_FORMAT"] = parseFormat(set.SignatureFormat)
	problems["TIMESTAMP"] = s.readTime(set)
	s.signed, problems["SIGNED"] = s.parse(set.Signed)
	s.Schemes = []verify.Scheme{{Name: Body}}
	if s.time.kind == member || slices.ContainsFunc(s.signed, func(p part) bool { return p.kind == timestamp }) {
		s.Schemes[0].Name = verify.Payload
	}
	s.events, problems["EVENT"] = parsePlaces(set.Event, s.Paths)
	switch {
	case set.Event == "":
		problems["EVENT"] = errors.New("it is not set")
	case slices.ContainsFunc(s.events, s.isSignature):
		problems["EVENT"] = errors.New("the signature can't be the event's name")
	}
	problems["EVENT_ID"] = s.readIDs(set.EventID)
	s.users, problems["USER"] = parsePlaces(set.User, s.Paths)
	if slices.ContainsFunc(s.users, func(u part) bool { return u.kind == header }) {
		problems["USER"] = errors.New("a person's id can't be in a header")
	}
	if len(set.TypePrefix) > 128 || !typePrefix.MatchString(set.TypePrefix) {
		problems["TYPE_PREFIX"] = errors.New("it is not such a name, or longer than 128 characters")
	}
	maps.DeleteFunc(problems, func(_ string, err error) bool { return err == nil })
	if len(problems) > 0 {
		return nil, problems
	}
	for _, p := range slices.Concat([]part{{kind: header, text: s.Header}, s.time}, s.signed, s.events) {
		if p.kind == header && !slices.Contains(s.Headers, p.text) {
			s.Headers = append(s.Headers, p.text)
		}
	}
	return s, nil
}

// isSignature reports whether a part is the signature's header, by either of its names.
func (s *scheme) isSignature(p part) bool {
	return p.isHeader(s.Header) || len(s.OtherNames) > 0 && p.isHeader(s.OtherNames[0][1])
}

// readTime parses the place of the time.
func (s *scheme) readTime(set verify.Settings) (err error) {
	s.Unit = verify.Unit(cmp.Or(set.TimestampUnit, string(verify.Seconds)))
	s.Timeless = set.Timestamp == ""
	inSignature := set.Timestamp == "signature"
	switch hasTime := s.TimePrefix != ""; {
	case inSignature && !hasTime && s.Encodings != nil: // without encodings, the format itself is wrong
		return errors.New("SIGNATURE_FORMAT has no {timestamp}")
	case hasTime && !inSignature:
		return errors.New("SIGNATURE_FORMAT has {timestamp}: set signature")
	case s.Timeless && strings.Contains(set.Signed, "{timestamp}"):
		return errors.New("SIGNED has {timestamp}: say where it comes from")
	case inSignature, s.Timeless:
		return nil
	}
	if s.time, err = parsePlace(set.Timestamp, s.Paths); err == nil && s.isSignature(s.time) {
		err = errors.New("for a time in the signature header, set signature")
	}
	return err
}

// readIDs parses the places of the event's id. It ignores unsigned ones, with which a captured delivery
// could become any number of events.
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

// compose returns the body of an event: data or a sample, with the name and the id at the places in
// the settings.
func (s *scheme) compose(event, id string, data stringify.Text) []byte {
	if data == nil {
		data = stringify.Text(s.Samples[0])
		if len(s.ids) == 0 { // only its text tells one event from another
			data = verify.Set(data, "sample", verify.Quoted(id))
		}
	}
	if s.events[0].kind == member {
		data = verify.Set(data, s.events[0].text, verify.Quoted(event))
	}
	if len(s.ids) > 0 && s.ids[0].kind == member {
		data = verify.Set(data, s.ids[0].text, verify.Quoted("evt_"+id))
	}
	return data
}

// sign returns the headers of a delivery.
func (s *scheme) sign(d verify.Signing) http.Header {
	h := http.Header{}
	for _, p := range s.signed {
		if p.kind == header {
			h.Set(p.text, "msg_"+d.ID)
		}
	}
	if i := slices.IndexFunc(s.events, func(e part) bool { return e.kind == header }); i >= 0 {
		h.Set(s.events[i].text, d.Event)
	}
	stamp := s.Unit.Format(d.Time)
	if s.time.kind == header {
		h.Set(s.time.text, stamp)
	}
	parsed, _ := s.Parse(nil, d.Body) // nil: it isn't JSON
	text, err := s.signedText(verify.Request{Header: h, Raw: d.Body, Body: parsed, Stamp: stamp})
	if err != nil { // a value is empty, which no vendor can sign
		text = nil
	}
	h.Set(s.Header, s.Format.Write(verify.Sum(d.Key, text...), stamp))
	return h
}
