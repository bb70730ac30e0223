package hmac

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// explain lists the parts of the signed text according to the settings, and other values to try. The
// steps show lengths and the beginnings of digests, never the text.
func (s *scheme) explain(r verify.Request) (e verify.Explanation) {
	macs, err := s.MACs(&r, nil)
	d := &delivery{scheme: s, r: &r}
	step := func(format string, args ...any) { e.Steps = append(e.Steps, fmt.Sprintf(format, args...)) }
	found := fmt.Sprintf("%d signatures, any of which may match", len(macs))
	switch {
	case err != nil:
		found = err.Error()
	case len(macs) == 1:
		found = "one signature"
	}
	step("%s, as %s: %s", s.Header, s.Settings.SignatureFormat, found)
	parts, causes := d.describe()
	step("SIGNED=%s: %s", s.Settings.Signed, parts)
	if text, err := s.signedText(r); err == nil {
		whole := bytes.Join(text, nil)
		sum := sha256.Sum256(whole)
		step("the signed text has %d bytes, its SHA-256 begins %x", len(whole), sum[:4])
	}
	e.Causes = append(causes, s.otherUnit(d)...)
	e.Signatures, e.Keys = s.signatures(d, macs), s.keys
	e.Texts = func(raw []byte) []verify.Guess[[][]byte] { return s.texts(d, raw) }
	return e
}

// describe lists the parts of the signed text with their lengths. A header that isn't there exactly
// once is a cause.
func (d *delivery) describe() (parts string, causes []verify.Finding) {
	var all []string
	for _, p := range d.signed {
		name, value, isHeader := p.text, string(d.r.Raw), true
		switch p.kind {
		case literal:
			continue
		case body:
			name, isHeader = "the body", false
		case header:
			value = d.r.Header.Get(name)
		case timestamp:
			isHeader = d.time.kind == header
			name, value = cmp.Or(d.time.text, "the timestamp"), d.stamp()
		}
		says := fmt.Sprintf("%s has %d bytes", name, len(value))
		times := len(d.r.Header[name])
		if times > 1 {
			says = fmt.Sprintf("%s is there %d times", name, times)
		} else if value == "" {
			says = name + " is missing"
		}
		if isHeader && (times > 1 || value == "") {
			causes = append(causes, proven(
				"signed_part", "the header "+says+", but SIGNED has it",
				"if the capture is complete, a proxy drops or repeats it: have it pass on the vendor's header, once",
			))
		}
		all = append(all, says)
	}
	return strings.Join(all, ", "), causes
}

// signatures lists the MACs according to the settings, and all else in the headers that may be a MAC.
func (s *scheme) signatures(d *delivery, macs []verify.MAC) (all []verify.Guess[verify.MAC]) {
	for _, mac := range macs {
		all = append(all, verify.Guess[verify.MAC]{Value: mac})
	}
	for _, name := range slices.Sorted(maps.Keys(d.r.Header)) {
		for _, word := range strings.FieldsFunc(strings.Join(d.r.Header[name], " "), func(r rune) bool { return strings.ContainsRune(" ,;", r) }) {
			_, behind, _ := strings.Cut(word, "=")
			for _, text := range []string{word, behind} {
				for _, e := range []verify.Encoding{verify.Hex, verify.Base64} {
					if mac, ok := verify.Decode(text, []verify.Encoding{e}); ok {
						all = append(all, verify.Guess[verify.MAC]{Value: mac, Cause: s.misplaced(name, e)})
					}
				}
			}
		}
	}
	return all
}

// misplaced returns the cause if a signature is in that header and encoding.
func (s *scheme) misplaced(header string, e verify.Encoding) verify.Finding {
	if header != s.Header {
		return proven("signature_elsewhere", "the signature is in the header "+header, "set SIGNATURE_HEADER="+header+", unless a proxy has renamed it")
	}
	has := "is in " + string(e)
	if slices.Contains(s.Encodings, e) {
		has = "has other text around it"
	}
	says := fmt.Sprintf("the signature in %s %s, and SIGNATURE_FORMAT is %s", header, has, s.Settings.SignatureFormat)
	return proven("signature_format", says, "set SIGNATURE_FORMAT as the header has it")
}

func proven(code, says, do string) verify.Finding {
	return verify.Finding{Code: code, Proven: true, Says: says, Do: do}
}

// keys lists the keys that a secret encodes in other encodings.
func (s *scheme) keys(given secret.Secret) (all []verify.Guess[secret.Secret]) {
	set := cmp.Or(s.Settings.SecretEncoding, textSecret)
	texts := []string{string(given.Key())} // as it may be set
	switch set {
	case base64Secret:
		text := base64.StdEncoding.EncodeToString(given.Key())
		texts = []string{text, "whsec_" + text}
	case hexSecret:
		texts = []string{hex.EncodeToString(given.Key())}
	}
	for _, text := range texts {
		for _, e := range []string{textSecret, base64Secret, hexSecret} {
			if key, err := decodeSecret(secret.New(text), e); e != set && err == nil {
				cause := proven("secret_encoding", "as "+e+", and SECRET_ENCODING is "+set, "set SECRET_ENCODING="+e)
				all = append(all, verify.Guess[secret.Secret]{Value: key, Cause: cause})
			}
		}
	}
	return all
}

// texts lists the signed text of a body according to the settings; then with the templates of other
// vendors, and with another form of the body.
func (s *scheme) texts(d *delivery, raw []byte) (all []verify.Guess[[][]byte]) {
	add := func(template, stamp string, cause verify.Finding, body ...[]byte) {
		parts, err := s.parse(template)
		if err != nil {
			return
		}
		if text, err := d.fill(parts, stamp, body...); err == nil {
			all = append(all, verify.Guess[[][]byte]{Value: text, Cause: cause})
		}
	}
	signed, stamp := s.Settings.Signed, d.sent()
	add(signed, stamp, verify.Finding{}, raw)
	others := []string{"{timestamp}{body}", "{body}{timestamp}", "{body}.{timestamp}"}
	for _, p := range presets {
		others = append(others, p.Settings.Signed)
	}
	for _, t := range others {
		if t != signed {
			add(t, stamp, proven("signed", "it is signed over "+t+", and SIGNED is "+signed, "set SIGNED="+t), raw)
		}
	}
	add(signed, stamp, proven("body", "the vendor signed a line end behind the body", "find what removes it: a proxy, or how it was captured"), raw, []byte{'\n'})
	if canonical, err := stringify.Parse(raw); err == nil && !bytes.Equal(canonical, bytes.TrimSpace(raw)) {
		add(signed, stamp, proven("body", "it is signed over JSON.stringify's form of the body, not over what was sent", "something on the way rewrites the JSON: have it pass the body on unchanged"), canonical)
	}
	return all
}

// sent returns the time as it was sent, if need be from a header that the settings don't name.
func (d *delivery) sent() string {
	sent := d.stamp()
	if sent == "" {
		for _, name := range slices.Sorted(maps.Keys(d.r.Header)) {
			if strings.Contains(name, "Timestamp") {
				sent = d.r.Header[name][0]
			}
		}
	}
	return sent
}

// otherUnit returns a cause if the time is near now in another unit, and not in the one that is set.
func (s *scheme) otherUnit(d *delivery) []verify.Finding {
	for _, u := range []verify.Unit{s.Unit, verify.Seconds, verify.Milliseconds, verify.DateTime} {
		t, _, ok := u.Parse([]byte(d.sent()))
		switch {
		case !ok || !near(t, d.r.Now):
		case s.Timeless || u == s.Unit:
			return nil
		default:
			says := fmt.Sprintf("the time is in the unit %s, and TIMESTAMP_UNIT is %s", u, s.Unit)
			return []verify.Finding{proven("timestamp_unit", says, "set TIMESTAMP_UNIT="+string(u))}
		}
	}
	return nil
}

// near reports whether two times are less than ten years apart.
func near(a, b time.Time) bool { return a.Sub(b).Abs() < 10*365*24*time.Hour }
