package hmac

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// Any settings are refused with a reason, or sign the whole body: then no other body has the same
// signed text, wherever the text around it is cut.
func FuzzSettings(f *testing.F) {
	for _, p := range Presets {
		s := p.Settings
		f.Add(s.SignatureHeader, s.SignatureFormat, s.Signed, s.Timestamp, s.Event, s.EventID, "msg_1", "1767323045", `{"type":"a","id":"b"}`)
	}
	f.Add("X-S", "{hex}", "{header:A}.{header:B}.{body}", "", "header:A", "header:A", "a.b", "c", `{"x":".{}"}`)
	f.Add("X-S", "{hex}", "{header:A}{body}", "", "header:A", "header:A", "a", "c", ` {"x":"{}"}`)
	key := secret.New("key")
	f.Fuzz(func(t *testing.T, header, format, signed, timestamp, event, id, one, other, body string) {
		p, problems := Presets[len(Presets)-1].Configure("x", verify.Settings{
			SignatureHeader: header, SignatureFormat: format, Signed: signed, Timestamp: timestamp, Event: event, EventID: id, TimestampUnit: "s",
		})
		if problems != nil {
			if p != nil {
				t.Fatal("problems, and a provider")
			}
			return
		}
		if strings.Count(signed, "{body}") != 1 || len(p.Signature.Schemes) != 1 {
			t.Fatalf("%q is accepted", signed)
		}
		text, _ := p.Parse(nil, []byte(body), nil)
		if !text.IsObject() {
			return
		}
		now := time.Unix(1767323045, 0)
		h, err := p.Sign(verify.Signing{Key: key, Event: one, ID: other, Body: []byte(body), Time: now})
		expect.NoError(t, err)
		r := verify.Request{Header: h, Raw: []byte(body), Body: text, Secrets: []secret.Secret{key}, Tolerance: time.Minute, Now: now}
		c, err := p.Verify(r)
		if c.SignedText == nil || errors.Is(err, verify.Contradiction) {
			return // a value is empty, or contains the text after it
		}
		// The same signed text in other pieces: one header ends elsewhere.
		was := claimed(c)
		for _, from := range p.BySettings.Headers {
			for _, to := range p.BySettings.Headers {
				value := h.Get(from)
				for cut := range min(len(value), 8) {
					r.Header = h.Clone()
					if from == to {
						r.Header.Set(from, value[:cut])
					} else {
						r.Header.Set(from, value[:len(value)-cut])
						r.Header.Set(to, value[len(value)-cut:]+h.Get(to))
					}
					again, err := p.Verify(r)
					if again.SignedText != nil && !bytes.Equal(bytes.Join(again.SignedText, nil), bytes.Join(c.SignedText, nil)) {
						t.Fatalf("%q was signed, %q is accepted", bytes.Join(c.SignedText, nil), bytes.Join(again.SignedText, nil))
					}
					if again.SignedText != nil && !errors.Is(err, verify.Contradiction) && claimed(again).ID != was.ID {
						t.Fatalf("%s: %v has another id than %v", signed, r.Header, h)
					}
				}
			}
		}
	})
}

// Any signature header gives a few signatures of 32 bytes that are in it, or a refusal.
func FuzzSignatureHeader(f *testing.F) {
	formats := []string{"{hex}", "{base64}", "sha256={hex}", "v1,{base64}", "t={timestamp},v1={hex}", "ts={timestamp};h1={hex}", "HMAC {base64}"}
	for _, p := range Presets {
		for _, v := range read(f, p.Name) {
			for _, h := range v.Headers {
				for i := range formats {
					f.Add(uint8(i), h[1])
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, value string) {
		format, err := parseFormat(formats[int(which)%len(formats)])
		expect.NoError(t, err)
		macs, stamp, err := format.Read(nil, value)
		if err != nil {
			if macs != nil {
				t.Fatalf("%v, and %x, %q", err, macs, stamp)
			}
			return
		}
		if len(macs) == 0 || (stamp != "") && format.TimePrefix == "" || !strings.Contains(value, stamp) {
			t.Fatalf("%q is read to %x, %q", value, macs, stamp)
		}
		for _, m := range macs {
			spellings := []string{hex.EncodeToString(m[:]), base64.RawStdEncoding.EncodeToString(m[:]), base64.RawURLEncoding.EncodeToString(m[:])}
			if !slices.ContainsFunc(spellings, func(s string) bool { return strings.Contains(value, s) || strings.Contains(strings.ToLower(value), s) }) {
				t.Fatalf("%q is read to %x", value, m)
			}
		}
		written := format.Write(macs[0], stamp)
		again, stampAgain, err := format.Read(nil, written)
		if err != nil || again[0] != macs[0] || stampAgain != stamp {
			t.Fatalf("%q is written as %q, and read to %v, %q, %v", value, written, again, stampAgain, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, name := range []string{Presets[0].Name, Presets[2].Name} {
		p := named(b, name, verify.Settings{})
		v := read(b, name)[0]
		r := requestOf(b, v, p)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				expect.NoError(b, expect.Err(p.Verify(r)))
			}
		})
	}
}
