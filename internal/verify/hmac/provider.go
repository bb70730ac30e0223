package hmac

import (
	"cmp"
	"encoding/hex"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// Providers lists the presets, and last the provider without one.
var Providers = providers()

func providers() []*verify.Provider {
	for _, p := range presets {
		p.Tolerance, p.AsSent = 5*time.Minute, true
		p.Colour = struct{ Light, Dark string }{"#5b5b66", "#b9b9c6"}
		p.Configure = func(endpoint string, set verify.Settings) (*verify.Provider, []verify.SettingProblem) {
			return configure(*p, endpoint, set)
		}
	}
	return presets
}

// configure returns the provider of one endpoint.
func configure(p verify.Provider, endpoint string, set verify.Settings) (*verify.Provider, []verify.SettingProblem) {
	with := over(p.Settings, set)
	with.TypePrefix = cmp.Or(with.TypePrefix, "webhook."+endpoint+".")
	s, problems := compile(with)
	if problems != nil {
		return nil, problems
	}
	s.sample = p.Samples[0]
	if p.Name == standard && strings.HasPrefix(s.header, webhookPrefix) {
		s.takesSvix = true
		s.headers = append(s.headers, svixNames(s.headers)...)
	}
	p.Settings, p.TypePrefix = with, with.TypePrefix
	p.Header, p.Headers, p.Encodings = s.header, s.headers, s.format.encodings
	p.Schemes = []verify.Scheme{{Name: s.covers}}
	p.Timeless, p.Unused = !s.timed, s.unused
	p.Verify, p.Keep, p.Resign = s.check, s.keep, s.resign
	p.Compose, p.Date, p.SignSent, p.Explain = s.compose, s.date, s.sign, s.explain
	if s.takesForms() {
		p.Unwrap = unwrap
	}
	if with.SecretEncoding == base64Secret || with.SecretEncoding == hexSecret {
		p.Key = func(k secret.Secret) (secret.Secret, error) { return decodeSecret(k, with.SecretEncoding) }
	}
	return &p, nil
}

// over returns base with the settings that are set in s.
func over(s, set verify.Settings) verify.Settings {
	to, from := reflect.ValueOf(&s).Elem(), reflect.ValueOf(set)
	for i := range to.NumField() {
		if text := from.Field(i).String(); text != "" {
			to.Field(i).SetString(text)
		}
	}
	return s
}

// The values of SECRET_ENCODING, besides text.
const (
	base64Secret = "base64"
	hexSecret    = "hex"
)

// decodeSecret returns the key that a secret encodes.
func decodeSecret(k secret.Secret, encoding string) (secret.Secret, error) {
	text := string(k.Key())
	decode := hex.DecodeString
	if encoding == base64Secret {
		text = strings.TrimRight(strings.TrimPrefix(text, "whsec_"), "=")
		decode = verify.Alphabet(text).DecodeString
	}
	key, err := decode(text)
	if err != nil || len(key) == 0 {
		return secret.Secret{}, errors.New("it is not " + encoding)
	}
	return secret.New(string(key)), nil
}

// compose returns the body of an event: data or a sample, with the name and the id at the places in
// the settings.
func (s *scheme) compose(event, id string, data stringify.Text) verify.Object {
	if data == nil {
		data = stringify.Text(s.sample)
	}
	o, err := verify.ParseObject(data)
	if err != nil { // impossible for a JSON object
		panic(err)
	}
	o = setFirst(o, s.settings.Event, verify.Quoted(event))
	return setFirst(o, s.settings.EventID, verify.Quoted("evt_"+id))
}

// date sets the time, if the body has it.
func (s *scheme) date(o verify.Object, t time.Time) (verify.Object, error) {
	written := s.unit.format(t)
	if s.unit == rfc3339 {
		written = string(verify.Quoted(written))
	}
	return setFirst(o, s.settings.Timestamp, []byte(written)), nil
}

// setFirst sets the value of a list's first source, if that is in the body.
func setFirst(o verify.Object, sources string, value []byte) verify.Object {
	first, _, _ := strings.Cut(sources, ",")
	path, ok := strings.CutPrefix(strings.TrimSpace(first), "body:")
	if !ok {
		return o
	}
	return setPath(o, strings.Split(path, "."), value)
}

func setPath(o verify.Object, path []string, value []byte) verify.Object {
	if len(path) == 1 {
		return o.Set(path[0], value)
	}
	inner, err := verify.ParseObject(o.Get(path[0]))
	if err != nil {
		inner = verify.Object{} // it is missing, or no object
	}
	return o.Set(path[0], setPath(inner, path[1:], value).Text())
}

// sign returns the headers of a delivery.
func (s *scheme) sign(d verify.Signing) http.Header {
	h := http.Header{}
	for _, p := range s.signed {
		if p.kind == header {
			h.Set(p.text, "msg_"+d.ID)
		}
	}
	for _, e := range s.events {
		if e.header != "" {
			h.Set(e.header, d.Event)
			break
		}
	}
	stamp := s.unit.format(d.Time)
	if s.time.header != "" {
		h.Set(s.time.header, stamp)
	}
	r := verify.Request{Header: h, Raw: d.Body, Body: compact(d.Body)}
	a := attempt{scheme: s, r: &r, time: stamp}
	text, err := a.text()
	if err != nil { // a part is empty or contains the text behind it: no vendor could sign it
		text = nil
	}
	h.Set(s.header, s.format.write(verify.Sum(d.Key, text...), stamp))
	return h
}

// compact returns a body without white space; nil if it isn't JSON.
func compact(raw []byte) stringify.Text {
	c, err := stringify.CheckAsSent(raw)
	if err != nil {
		return nil
	}
	return c.Text()
}
