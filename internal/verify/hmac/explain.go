package hmac

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// explain lists the parts of the signed text according to the settings, and for a refused delivery
// what would have to be different. It shows lengths and the beginnings of digests, never the text.
func (m maker) explain(r verify.Request) (steps []string, causes []verify.Finding) {
	s := m.scheme
	if s.other != nil && len(r.Header[s.header]) == 0 && len(r.Header[s.other.header]) > 0 {
		s = s.other
	}
	a := attempt{scheme: s, r: &r}
	macs, err := a.signatures()
	if err != nil {
		a.time = s.format.timeIn(r.Header.Get(s.header))
	}
	steps = append(steps, fmt.Sprintf("%s, as %s: %s", s.header, m.settings.SignatureFormat, inWords(len(macs), err)))
	text, missing := a.text()
	steps = append(steps, "SIGNED="+m.settings.Signed+": "+a.describe())
	if missing == nil {
		sum := sha256.Sum256(bytes.Join(text, nil))
		steps = append(steps, fmt.Sprintf("the signed text has %d bytes, its SHA-256 begins %x", len(bytes.Join(text, nil)), sum[:4]))
	}
	if p := s.unsignedParts(); p != "" {
		steps = append(steps, "not signed is "+p+": the sender may have written anything")
	}
	if f, ok := s.missingPart(r); ok {
		causes = append(causes, f)
	}
	if errors.Is(missing, verify.MalformedSignature) && causes == nil {
		causes = append(causes, verify.Finding{
			Code: "signed_part", Proven: true, Says: "a value in SIGNED holds the text that stands behind it there, so that it could end in two places",
			Do: "compare SIGNED with the vendor's page: is the text between the parts right?",
		})
	}
	causes = append(causes, m.search(&a)...)
	if f, ok := s.otherUnit(&a); ok {
		causes = append(causes, f)
	}
	return steps, causes
}

func inWords(n int, err error) string {
	if err != nil {
		return err.Error()
	}
	if n == 1 {
		return "one signature"
	}
	return fmt.Sprintf("%d signatures, any of which may match", n)
}

// timeIn returns the time in a header that may have other mistakes.
func (f *format) timeIn(value string) string {
	for word := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune(" ,;", r) }) {
		if i := f.match(word); i != nil && i.isTime {
			return word[len(i.prefix):]
		}
	}
	return ""
}

// describe lists the parts of the signed text with their lengths.
func (a *attempt) describe() string {
	var all []string
	say := func(what, value string) {
		if value == "" {
			all = append(all, what+" is missing")
		} else {
			all = append(all, fmt.Sprintf("%s has %d characters", what, len(value)))
		}
	}
	for _, p := range a.signed {
		switch p.kind {
		case body:
			all = append(all, fmt.Sprintf("the body has %d bytes", len(a.r.Raw)))
		case header:
			value, several := a.read(source{header: p.text})
			if several {
				all = append(all, p.text+" is there more than once")
			} else {
				say(p.text, value)
			}
		case timestamp:
			value := a.time
			if a.scheme.time.isSet {
				value, _ = a.read(a.scheme.time)
			}
			say("the timestamp", value)
		}
	}
	return strings.Join(all, ", ")
}

// unsignedParts lists the values that are used though they aren't signed.
func (s *scheme) unsignedParts() string {
	var all []string
	if s.timed && s.covers == Body {
		all = append(all, "the time")
	}
	for _, e := range s.events {
		isSigned := e.header == "" || slices.ContainsFunc(s.signed, func(p part) bool { return p.kind == header && p.text == e.header })
		if !isSigned {
			all = append(all, "the event's name in "+e.header)
		}
	}
	return strings.Join(all, " and ")
}

// missingPart names a header in SIGNED that the delivery doesn't have exactly once.
func (s *scheme) missingPart(r verify.Request) (f verify.Finding, ok bool) {
	for _, p := range s.signed {
		name := p.text
		if p.kind == timestamp {
			name = s.time.header
		}
		if p.kind == literal || name == "" {
			continue
		}
		if n := len(r.Header[name]); n != 1 {
			says := "the header " + name + " is missing, and it is part of what is signed"
			if n > 1 {
				says = fmt.Sprintf("the header %s is there %d times, and it is part of what is signed", name, n)
			}
			return verify.Finding{Code: "signed_part", Proven: true, Says: says, Do: "if the capture is whole, a proxy drops it or adds to it: have it pass on the vendor's header, once"}, true
		}
	}
	return f, false
}

// candidate is a value to try instead of the one that is set; says is "" for the one that is set.
type candidate struct {
	code, says, do string
	key            secret.Secret
	text           []byte
	mac            verify.MAC
}

// search looks for a signature, a secret and a text that match. It tries those that are set first.
func (m maker) search(a *attempt) (causes []verify.Finding) {
	macs, texts := m.signatures(a), m.texts(a)
	var best []candidate
	for _, key := range m.keys(a.r.Secrets) {
		for _, text := range texts {
			sum := key.key.MAC(text.text)
			for _, mac := range macs {
				if sum != mac.mac {
					continue
				}
				found := slices.DeleteFunc([]candidate{mac, key, text}, func(c candidate) bool { return c.says == "" })
				if best == nil || len(found) < len(best) {
					best = found
				}
			}
		}
	}
	for _, c := range best {
		causes = append(causes, verify.Finding{Code: c.code, Proven: true, Says: c.says, Do: c.do})
	}
	return causes
}

// signatures lists the signatures according to the settings, and everything else in the headers
// that could be one.
func (m maker) signatures(a *attempt) (all []candidate) {
	if macs, err := a.signatures(); err == nil {
		for _, mac := range macs {
			all = append(all, candidate{mac: mac})
		}
	}
	both := []verify.Encoding{verify.Hex, verify.Base64}
	for name, values := range a.r.Header {
		for _, value := range values {
			for _, word := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" ,;", r) }) {
				_, behind, _ := strings.Cut(word, "=")
				for _, text := range []string{word, behind} {
					mac, ok := verify.Decode(text, both)
					if !ok {
						continue
					}
					encoding := verify.Hex
					if len(text) != 2*sha256.Size {
						encoding = verify.Base64
					}
					c := candidate{code: "signature_format", mac: mac, do: "set SIGNATURE_FORMAT as the header has it"}
					c.says = fmt.Sprintf("the signature stands in %s in %s, which SIGNATURE_FORMAT=%s doesn't say", name, encoding, m.settings.SignatureFormat)
					if name != a.header {
						c.code, c.says, c.do = "signature_elsewhere", "the signature is in the header "+name, "set SIGNATURE_HEADER="+name+", unless a proxy has renamed it"
					}
					all = append(all, c)
				}
			}
		}
	}
	return all
}

// keys lists the secrets that are set, and what they may be meant to be.
func (m maker) keys(secrets []secret.Secret) (all []candidate) {
	for i, s := range secrets {
		if s.IsEmpty() {
			continue
		}
		all = append(all, candidate{key: s})
		set := cmp.Or(m.settings.SecretEncoding, "text")
		add := func(encoding, key string) {
			if key != "" && encoding != set {
				all = append(all, candidate{
					code: "secret_encoding", key: secret.New(key), says: fmt.Sprintf("secret %d is right as %s, and SECRET_ENCODING is %s", i, encoding, set),
					do: "set SECRET_ENCODING=" + encoding,
				})
			}
		}
		key := string(s.Key())
		switch set {
		case base64Secret:
			add("text", base64.StdEncoding.EncodeToString(s.Key()))
			add("text", "whsec_"+base64.StdEncoding.EncodeToString(s.Key()))
		case hexSecret:
			add("text", hex.EncodeToString(s.Key()))
		default:
			for _, encoding := range []string{base64Secret, hexSecret} {
				if decoded, err := decodeSecret(s, encoding); err == nil {
					add(encoding, string(decoded.Key()))
				}
			}
		}
		for _, end := range []string{"\n", "\r\n", " "} {
			all = append(all, candidate{code: "secret_line_end", key: secret.New(key + end), says: fmt.Sprintf("secret %d is right with a line end or a blank behind it", i), do: "the vendor's own secret has one: make a new secret"})
		}
	}
	return all
}

// maxSearched is the largest body for which other texts than the one that is set are tried.
const maxSearched = 4 << 20

// texts lists the signed text according to the settings, and those of other vendors.
func (m maker) texts(a *attempt) (all []candidate) {
	bodies := []candidate{{text: a.r.Raw}}
	if trimmed := bytes.TrimSpace(a.r.Raw); len(trimmed) < len(a.r.Raw) {
		bodies = append(bodies, candidate{code: "body", text: trimmed, says: "it is signed without the white space around the body", do: "find what adds it: a proxy, or how it was captured"})
	}
	bodies = append(bodies, candidate{code: "body", text: append(bytes.Clone(a.r.Raw), '\n'), says: "it is signed with a line end behind the body", do: "find what takes it away: a proxy, or how it was captured"})
	if canonical, err := stringify.Parse(a.r.Raw); err == nil && !bytes.Equal(canonical, a.r.Raw) {
		bodies = append(bodies, candidate{code: "body", text: canonical, says: "it is signed over JSON.stringify's form of the body, not over what was sent", do: "something on the way writes the JSON anew: have it pass on the bytes"})
	}
	templates := []string{m.settings.Signed}
	if len(a.r.Raw) > maxSearched {
		bodies = bodies[:1]
	}
	for _, t := range append([]string{"{timestamp}{body}", "{body}{timestamp}", "{body}.{timestamp}"}, signedOfPresets()...) {
		if !slices.Contains(templates, t) && len(a.r.Raw) <= maxSearched {
			templates = append(templates, t)
		}
	}
	for i, template := range templates {
		parts, err := signedParts(template)
		if err != nil {
			continue
		}
		for unit, stamp := range a.stamps() {
			for _, b := range bodies {
				text, ok := a.fill(parts, stamp, b.text)
				if !ok {
					continue
				}
				c := candidate{text: text}
				switch {
				case i > 0:
					c.code, c.says, c.do = "signed", "it is signed over "+template+", and SIGNED is "+m.settings.Signed, "set SIGNED="+template
				case unit != "":
					c.code, c.says, c.do = "signed_time", "it is signed with the time in "+unit+", which isn't how it was sent", "report it, with this output"
				case b.says != "":
					c.code, c.says, c.do = b.code, b.says, b.do
				}
				if (i > 0 || unit != "") && b.says != "" {
					continue // one difference at a time
				}
				all = append(all, c)
			}
		}
	}
	return all
}

func signedOfPresets() (list []string) {
	for _, p := range presets {
		if p.settings.Signed != "" {
			list = append(list, p.settings.Signed)
		}
	}
	return list
}

// stamps yields the time as it was sent, and a number also in the other unit.
func (a *attempt) stamps() map[string]string {
	sent := a.time
	if a.scheme.time.isSet {
		sent, _ = a.read(a.scheme.time)
	}
	if sent == "" {
		for name, values := range a.r.Header { // headers that aren't set
			if strings.Contains(name, "Timestamp") {
				sent = values[0]
			}
		}
	}
	all := map[string]string{"": sent}
	if n, ok := digits(sent, 15); ok && n > 1e11 {
		all["seconds"] = itoa(n / 1e3)
	} else if ok && n > 0 {
		all["milliseconds"] = itoa(n * 1e3)
	}
	return all
}

// fill returns a text from its parts; ok is false if one is missing.
func (a *attempt) fill(parts []part, stamp string, raw []byte) (text []byte, ok bool) {
	for _, p := range parts {
		value := p.text
		switch p.kind {
		case body:
			value = string(raw)
		case timestamp:
			value = stamp
		case header:
			value = a.r.Header.Get(p.text)
		}
		if value == "" {
			return nil, false
		}
		text = append(text, value...)
	}
	return text, true
}

// otherUnit reports whether the time is about now if it is read in another unit than the one that
// is set.
func (s *scheme) otherUnit(a *attempt) (f verify.Finding, ok bool) {
	sent := a.stamps()[""]
	if _, _, isRight := s.unit.parse(sent); !s.timed || sent == "" {
		return f, false
	} else if t, _, _ := s.unit.parse(sent); isRight && near(t, a.r.Now) {
		return f, false
	}
	for _, u := range []unit{seconds, milliseconds, rfc3339} {
		if t, _, ok := u.parse(sent); ok && u != s.unit && near(t, a.r.Now) {
			return verify.Finding{Code: "timestamp_unit", Proven: true, Says: fmt.Sprintf("the time is written in the unit %s, and TIMESTAMP_UNIT is %s", u, s.unit), Do: "set TIMESTAMP_UNIT=" + string(u)}, true
		}
	}
	return f, false
}

// near reports whether two times are less than ten years apart.
func near(a, b time.Time) bool { return a.Sub(b).Abs() < 10*365*24*time.Hour }
