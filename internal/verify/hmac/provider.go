package hmac

import (
	"cmp"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// Providers lists the presets, and last the provider without one.
var Providers = providers()

func providers() []*verify.Provider {
	for _, p := range presets {
		p.Tolerance, p.AsSent = 5*time.Minute, true
		p.Colour = struct{ Light, Dark string }{"#5b5b66", "#b9b9c6"}
		p.Configure = func(endpoint string, set verify.Settings) (*verify.Provider, map[string]error) {
			return configure(*p, endpoint, set)
		}
	}
	return presets
}

// takesForms matches a SIGNED with which the body may be a form. Unlike a JSON object, a form may
// begin or end with another form. So it must be the last part, and every value before it must have
// text behind it.
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

// compose returns the body of an event: data or a sample, with the name and the id at the places in
// the settings.
func (s *scheme) compose(event, id string, data stringify.Text) []byte {
	if data == nil {
		data = stringify.Text(s.Samples[0])
	}
	o, _ := verify.ParseObject(data) // no error: NewBody has checked it
	if s.events[0].kind == member {
		o = o.Set(s.events[0].text, verify.Quoted(event))
	}
	if len(s.ids) > 0 && s.ids[0].kind == member {
		o = o.Set(s.ids[0].text, verify.Quoted("evt_"+id))
	}
	return o.Text()
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
	if err != nil { // a value is empty: no vendor could sign it
		text = nil
	}
	h.Set(s.Header, s.Format.Write(verify.Sum(d.Key, text...), stamp))
	return h
}
