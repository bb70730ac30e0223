package hmac

import (
	"bytes"
	"errors"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/vectors"
)

// read returns the vectors of a preset, which are deliveries to the endpoint hooks.
func read(t testing.TB, preset string) []vectors.Vector {
	t.Helper()
	all := vectors.Read(t, preset, filepath.Join("testdata", preset+".json"))
	for _, v := range all {
		for name, effect := range v.Unsigned {
			delete(v.Unsigned, name)
			v.Unsigned[http.CanonicalHeaderKey(name)] = effect
		}
	}
	return all
}

// settings reads settings from their variables' names.
func settings(t testing.TB, of map[string]string) (s verify.Settings) {
	t.Helper()
	v := reflect.ValueOf(&s).Elem()
	for variable, value := range of {
		i := slices.IndexFunc(reflect.VisibleFields(v.Type()), func(f reflect.StructField) bool { return f.Tag.Get("env") == variable })
		if i < 0 {
			t.Fatalf("no setting is called %s", variable)
		}
		v.Field(i).SetString(value)
	}
	return s
}

// named returns the provider of that name, configured for the endpoint hooks.
func named(t testing.TB, name string, s verify.Settings) *verify.Provider {
	t.Helper()
	i := slices.IndexFunc(Presets, func(p *Preset) bool { return p.Name == name })
	p, problems := Presets[i].Configure("hooks", s)
	if problems != nil {
		t.Fatal(problems)
	}
	return p
}

// requestOf returns the request of a vector, for the provider's Verify.
func requestOf(t testing.TB, v vectors.Vector, p *verify.Provider) verify.Request {
	t.Helper()
	r := v.Request()
	keys, err := p.BySettings.Settings.Keys(r.Secrets)
	expect.NoError(t, err)
	r.Secrets = keys
	r.Body = jsonOf(p, r)
	return r
}

// jsonOf returns the body as the bridge verifies it; nil if it isn't JSON.
func jsonOf(p *verify.Provider, r verify.Request) stringify.Text {
	text, err := p.Parse(r.Header, r.Raw, nil)
	if err != nil {
		return nil
	}
	return text
}

// id is the event's id at the endpoint hooks.
func id(c verify.Claims) string {
	if c.IDText != nil {
		return event.ID("hooks", c.IDText, c.IDName)
	}
	return event.ID("hooks", c.SignedText, c.IDName)
}

func claimed(c verify.Claims) vectors.Claims {
	return vectors.Claims{Scheme: c.Scheme, Name: c.Name, Entity: c.Entity, EntityID: c.EntityID, UserID: c.UserID, Time: c.Time, ID: id(c), Secret: c.Secret}
}

func TestVectors(t *testing.T) {
	for _, preset := range Presets {
		accepted := 0
		for _, v := range read(t, preset.Name) {
			t.Run(preset.Name+"/"+v.Name, func(t *testing.T) {
				p := named(t, preset.Name, settings(t, v.Settings))
				r := requestOf(t, v, p)
				c, err := p.Verify(r)
				if v.Error != "" {
					if !errors.Is(err, verify.Refusal(v.Error)) {
						t.Fatalf("Verify = %v, want %q", err, v.Error)
					}
					if authentic := verify.IsAuthentic(err); authentic != (c.SignedText != nil) {
						t.Errorf("authentic %v, but claims are %+v", authentic, c)
					}
					return
				}
				expect.NoErrorf(t, err, "Verify")
				expect.Equal(t, *v.Claims, claimed(c), "the claims")
				otherKeys(t, p, r)
				otherTimes(t, p, r, c)
				otherBodies(t, p, r)
				otherHeaders(t, p, v, r, claimed(c))
			})
			if v.Claims != nil {
				accepted++
			}
		}
		if accepted == 0 {
			t.Errorf("%s has no vector that is accepted", preset.Name)
		}
	}
}

// otherKeys checks that no other secret verifies.
func otherKeys(t *testing.T, p *verify.Provider, r verify.Request) {
	t.Helper()
	for _, secrets := range [][]secret.Secret{nil, {{}}, {secret.New("")}, {secret.New("Right")}, {secret.New("wrong"), secret.New("")}} {
		r.Secrets = secrets
		if c, err := p.Verify(r); err != verify.WrongSignature || c.SignedText != nil { //nolint:errorlint // exactly this
			t.Errorf("with a secret that isn't right: %+v, %v", c, err)
		}
	}
}

// otherTimes checks that the delivery is stale after the tolerance, and from the future long before its
// time; without a time it is neither.
func otherTimes(t *testing.T, p *verify.Provider, r verify.Request, c verify.Claims) {
	t.Helper()
	stale, future := error(verify.Stale), error(verify.Future)
	at := c.Occurred
	if p.Time.Unit == verify.NoTime {
		at, stale, future = r.Now, nil, nil
	}
	for _, later := range []struct {
		now  time.Time
		want error
	}{{at.Add(r.Tolerance + time.Second), stale}, {at.Add(-r.Tolerance - time.Second), future}, {at.Add(r.Tolerance), nil}, {at.Add(-r.Tolerance), nil}} {
		r.Now, r.Untimed = later.now, false
		expect.ErrorIs(t, later.want, expect.Err(p.Verify(r)), "at %s", later.now)
		r.Untimed = true
		if _, err := p.Verify(r); err != nil {
			t.Errorf("at %s, untimed: %v", later.now, err)
		}
	}
}

// otherBodies checks that no other body is accepted.
func otherBodies(t *testing.T, p *verify.Provider, r verify.Request) {
	t.Helper()
	src := r.Raw
	try := func(body []byte) {
		r.Raw = body
		r.Body = jsonOf(p, r)
		if c, err := p.Verify(r); err == nil || verify.IsAuthentic(err) || c.SignedText != nil {
			t.Errorf("%v for %s", err, body)
		}
	}
	for i := range src {
		for bit := range 8 {
			changed := bytes.Clone(src)
			changed[i] ^= 1 << bit
			try(changed)
		}
		if i+1 < len(src) && src[i] == src[i+1] {
			continue // to leave out one of two is to leave out the other
		}
		try(slices.Delete(bytes.Clone(src), i, i+1))
	}
	try(nil)
	try(append([]byte(" "), src...))
	try(append(bytes.Clone(src), '\n'))
}

// otherHeaders checks that a change of the headers without the secret is refused, or changes no more
// than the vector says, and never the id.
func otherHeaders(t *testing.T, p *verify.Provider, v vectors.Vector, r verify.Request, was vectors.Claims) {
	t.Helper()
	original := r.Header
	isRead := func(name string) bool {
		return slices.Contains(p.BySettings.Headers, name) || slices.ContainsFunc(p.BySettings.OtherNames, func(n [2]string) bool { return n[1] == name })
	}
	for name, values := range original {
		effect := v.Unsigned[name]
		if effect == "anything" {
			continue
		}
		value := values[0]
		try := func(changed ...string) {
			r.Header = original.Clone()
			r.Header[name] = changed
			c, err := p.Verify(r)
			is := was
			switch effect {
			case "the name":
				is.Name = c.Name
			case "the time":
				is.Time = c.Time
			}
			is.Secret = claimed(c).Secret // another one may have signed, too
			if (err == nil || verify.IsAuthentic(err)) && effect == "" && !strings.HasSuffix(name, "Signature") && name != p.Signature.Header && isRead(name) && len(changed) > 0 && changed[0] != value {
				t.Errorf("a change of %s to %q is accepted: %v", name, changed, err)
			}
			if err == nil && claimed(c) != is {
				t.Errorf("%s: %q is accepted as %+v, was %+v", name, changed, claimed(c), was)
			}
			if err != nil && c.SignedText != nil && id(c) != was.ID {
				t.Errorf("%s: %q: %v, with another id", name, changed, err)
			}
		}
		for i := range value {
			for bit := range 7 {
				changed := []byte(value)
				changed[i] ^= 1 << bit
				try(string(changed))
			}
			try(value[:i] + value[i+1:])
			try(value[:i] + "." + value[i:])
		}
		try()
		try("")
		try(value, "")
		try(value, value)
		try(value + "," + value)
		try(value + " " + value)
		try(strings.Repeat(value+" ", 100))
		try(strings.Repeat(value+",", 100))
	}
	// Moving text from one header to another makes no other delivery.
	for from := range original {
		for to := range original {
			moved := original.Clone()
			value := moved.Get(from)
			if from == to || value == "" || v.Unsigned[from] != "" || v.Unsigned[to] != "" {
				continue
			}
			moved.Set(to, moved.Get(to)+value[:1])
			moved.Set(from, value[1:])
			r.Header = moved
			c, err := p.Verify(r)
			if errors.Is(err, verify.Contradiction) { // the same signed text: all its splits have one id in quarantine
				expect.Equal(t, event.ID("hooks", c.SignedText, nil), id(c), "the id of a text that could be split in two ways")
			} else if (err == nil || verify.IsAuthentic(err)) && claimed(c) != was {
				t.Errorf("a character moved from %s to %s: %+v", from, to, claimed(c))
			}
		}
	}
}
