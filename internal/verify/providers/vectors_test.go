package providers_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/vectors"
)

func read(t testing.TB, p *verify.Provider) []vectors.Vector {
	t.Helper()
	return vectors.Read(t, p.Name, filepath.Join("..", p.Name, "testdata", "vectors.json"))
}

// requestOf returns the request of a vector, for the provider's Verify.
func requestOf(t testing.TB, v vectors.Vector) verify.Request {
	t.Helper()
	text, err := stringify.Parse([]byte(v.Body))
	expect.NoError(t, err)
	r := v.Request()
	r.Body = text
	return r
}

// claimed returns Verify's claims in a vector's terms.
func claimed(p *verify.Provider, c verify.Claims) vectors.Claims {
	return vectors.Claims{Scheme: c.Scheme, Name: c.Name, Entity: c.Entity, EntityID: c.EntityID, UserID: c.UserID, Time: c.Time, ID: event.ID(p.Name, c.SignedText, c.IDName), Secret: c.Secret}
}

// Every provider has vectors, of which each scheme accepts some.
func TestEveryProviderHasVectors(t *testing.T) {
	for _, p := range providers.All {
		accepted := map[string]bool{}
		for _, v := range read(t, p) {
			if v.Claims != nil {
				accepted[v.Claims.Scheme] = true
			}
		}
		for _, scheme := range p.SchemeNames() {
			if !accepted[scheme] {
				t.Errorf("%s: no accepted vector for the scheme %s", p.Name, scheme)
			}
		}
	}
}

func TestVectors(t *testing.T) {
	for _, p := range providers.All {
		for _, v := range read(t, p) {
			t.Run(p.Name+"/"+v.Name, func(t *testing.T) {
				t.Parallel()
				r := requestOf(t, v)
				c, err := p.Verify(r)
				untimed(t, p, v, r, err)
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
				body := string(r.Body)
				if v.AsSent {
					var compact bytes.Buffer
					expect.NoError(t, json.Compact(&compact, r.Raw))
					body = compact.String()
				}
				if string(c.Body) != body || c.AsSent != v.AsSent {
					t.Errorf("the envelope's body is %s, want %s", c.Body, body)
				}
				expect.Equal(t, *v.Claims, claimed(p, c), "the claims")
				otherKeys(t, p, r)
				otherTimes(t, p, r)
				otherSignatures(t, p, r)
				otherBodies(t, p, v, r)
			})
		}
	}
}

// untimed checks that without the check of time a delivery is accepted if it was refused only for its
// time, and no other.
func untimed(t *testing.T, p *verify.Provider, v vectors.Vector, r verify.Request, timed error) {
	t.Helper()
	r.Untimed = true
	c, err := p.Verify(r)
	if errors.Is(timed, verify.Stale) || errors.Is(timed, verify.Future) {
		if refusal, _ := errors.AsType[verify.Refusal](err); string(refusal) != v.Untimed || c.SignedText == nil {
			t.Errorf("untimed: %v, want %q", err, v.Untimed)
		}
		if _, err := time.Parse(time.RFC3339, c.Time); c.Time != "" && err != nil {
			t.Errorf("untimed: the time is %q, which no schema takes", c.Time)
		}
		return
	}
	expect.Equal(t, fmt.Sprint(timed), fmt.Sprint(err), "the error where no time is checked")
}

// otherKeys checks that no other secret verifies, be it wrong, empty, missing or the other provider's.
func otherKeys(t *testing.T, p *verify.Provider, r verify.Request) {
	t.Helper()
	for _, secrets := range [][]secret.Secret{nil, {}, {{}}, {secret.New("")}, {secret.New("Right")}, {secret.New("right ")}, {secret.New("wrong"), secret.New("")}} {
		r.Secrets = secrets
		if c, err := p.Verify(r); err != verify.WrongSignature || c.SignedText != nil { //nolint:errorlint // exactly this
			t.Errorf("with a secret that isn't right: %+v, %v", c, err)
		}
	}
}

// otherTimes checks that the delivery is stale after the tolerance, and from the future long before its
// time.
func otherTimes(t *testing.T, p *verify.Provider, r verify.Request) {
	t.Helper()
	c, err := p.Verify(r)
	expect.NoError(t, err)
	for _, later := range []struct {
		now  time.Time
		want verify.Refusal
	}{{c.Occurred.Add(r.Tolerance + time.Millisecond), verify.Stale}, {c.Occurred.Add(-r.Tolerance - 10*time.Minute), verify.Future}} {
		r.Now = later.now
		expect.ErrorIs(t, later.want, expect.Err(p.Verify(r)), "at %s", later.now)
	}
}

// otherSignatures checks that a second, different header is refused, and so is every other text in the
// header, unless it is the same MAC in another spelling or the body has a right one.
func otherSignatures(t *testing.T, p *verify.Provider, r verify.Request) {
	t.Helper()
	right := r.Header.Get(p.Signature.Header)
	if right == "" {
		right = strings.Repeat("0", 64)
	}
	with := func(signatures ...string) error {
		r.Header = http.Header{p.Signature.Header: signatures}
		_, err := p.Verify(r)
		return err
	}
	for _, both := range [][]string{{right, right + " "}, {right, ""}, {right, "0"}, {right, right, "0"}} {
		expect.ErrorIs(t, verify.ManySignatures, with(both...), "with the headers %q", both)
	}
	if with() == nil {
		return // the member alone will do, whatever the header says
	}
	macs, _, _ := p.Signature.Format.Read(nil, right)
	isOther := func(signature string) bool {
		decoded, _, _ := p.Signature.Format.Read(nil, signature)
		return !slices.Equal(decoded, macs)
	}
	for i := range right {
		for bit := range 8 {
			changed := []byte(right)
			changed[i] ^= 1 << bit
			if with(string(changed)) == nil && isOther(string(changed)) {
				t.Errorf("accepted with the signature %q", changed)
			}
		}
	}
	for _, other := range []string{right + right, right[:len(right)-1], right[1:], " " + right, right + " ", right + "\n", right + "0", "0x" + right, "sha256=" + right} {
		if with(other) == nil && isOther(other) {
			t.Errorf("accepted with the signature %q", other)
		}
	}
}

// otherBodies checks that a change of the body without the secret is refused, or changes only what the
// vector lists as unsigned, with no other effect than it says.
func otherBodies(t *testing.T, p *verify.Provider, v vectors.Vector, r verify.Request) {
	t.Helper()
	original := r.Body
	before, err := p.Verify(r)
	expect.NoError(t, err)
	accepted := 0
	try := func(body []byte) {
		text, err := stringify.Parse(body)
		if err != nil || !text.IsObject() {
			return
		}
		r.Raw, r.Body = body, text
		if after, err := p.Verify(r); err == nil {
			accepted++
			if err := harmless(p, v, original, text, before, after); err != nil {
				t.Errorf("%v: accepted %s", err, body)
			}
		}
	}
	src := []byte(v.Body)
	step := 1
	if len(src) > 4<<10 {
		step = len(src) / 16 // a large body is a small one with more of the same
	}
	for i := 0; i < len(src); i += step {
		for _, bit := range []byte{0x01, 0x04, 0x20, 0x80} {
			changed := bytes.Clone(src)
			changed[i] ^= bit
			try(changed)
		}
		try(slices.Delete(bytes.Clone(src), i, i+1))
		for _, c := range []byte("0 \"\\") {
			try(slices.Insert(bytes.Clone(src), i, c))
		}
	}
	for _, added := range []string{`"x":1`, `"type":"a.b"`, `"name":"a.b"`, `"signature":"x"`, `"createdAt":null`, `"time":"2026-01-02T03:04:05Z"`, `"timestamp":0`, `"data":{}`, `"data":{"x":1}`} {
		try([]byte("{" + added + "," + v.Body[1:]))
	}
	_ = eachMember(original, func(name string, value stringify.Text) error {
		twice := `{"` + name + `":` + string(value) + "," + string(original[1:])
		expect.ErrorIs(t, stringify.ErrDuplicate, expect.Err(stringify.Parse([]byte(twice))), "with %s given twice", name)
		member := `"` + name + `":` + string(value)
		for _, other := range []string{`null`, `"x"`, `"a.b"`, `0`, `{}`, `[]`, `true`} {
			try([]byte(strings.Replace(string(original), member, `"`+name+`":`+other, 1)))
		}
		try([]byte(strings.Replace(string(original), ","+member, "", 1)))
		try([]byte(strings.Replace(string(original), member+",", "", 1)))
		return nil
	})
	if len(v.Unsigned) > 0 && accepted == 0 {
		t.Error("nothing that is listed as unsigned could be changed")
	}
}

// harmless returns what is wrong with accepting the changed body.
func harmless(p *verify.Provider, v vectors.Vector, original, changed stringify.Text, before, after verify.Claims) error {
	members := map[string]bool{}
	for _, body := range []stringify.Text{original, changed} {
		if err := eachMember(body, func(name string, _ stringify.Text) error {
			members[name] = true
			return nil
		}); err != nil {
			return err
		}
	}
	effects := map[string]bool{}
	for name := range members {
		if !bytes.Equal(original.Member(name), changed.Member(name)) {
			effect, ok := v.Unsigned[name]
			if !ok {
				effect, ok = v.Unsigned["*"]
			}
			if !ok {
				return fmt.Errorf("the member %s is changed and signed", name)
			}
			effects[effect] = true
		}
	}
	was, is := claimed(p, before), claimed(p, after)
	if effects["another event"] {
		if was.Name == is.Name || was.ID == is.ID {
			return fmt.Errorf("%v: %+v became %+v", slices.Sorted(maps.Keys(effects)), was, is)
		}
		was.Name, was.ID, was.Entity = is.Name, is.ID, is.Entity
	}
	if effects["the time"] {
		was.Time = is.Time
	}
	if was.Scheme == flock.TimestampData { // data has it too, signed, or has no such member
		was.EntityID = is.EntityID
	}
	if was != is {
		return fmt.Errorf("%v: %+v became %+v", slices.Sorted(maps.Keys(effects)), was, is)
	}
	return nil
}

// eachMember calls f for every member of an object, with its name as it is written.
func eachMember(object stringify.Text, f func(name string, value stringify.Text) error) error {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		start := decoder.InputOffset()
		if _, err := decoder.Token(); err != nil {
			return err
		}
		raw := bytes.TrimLeft(object[start:decoder.InputOffset()], ",")
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		if err := f(string(raw[1:len(raw)-1]), stringify.Text(value)); err != nil {
			return err
		}
	}
	return nil
}
