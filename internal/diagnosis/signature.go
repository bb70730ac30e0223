package diagnosis

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// signature is a MAC as it may have been sent, whole or the beginning of one.
type signature struct {
	mac    []byte
	header string // where it was, if not where the endpoint's provider has it
	cost   int    // how many assumptions it takes
	cause  Cause
}

// memberScheme is the cause that names the scheme already, so that no other one has to.
const memberScheme = "signature_member"

// minMAC is how many bytes of a MAC must be right to be believed no accident.
const minMAC = 8

// examineSignatures describes where signatures are and what they decode to. It returns them, with the other ways
// in which they can be read.
func (d *diagnosing) examineSignatures(b body) (all []signature) {
	p := d.at.Provider
	values := d.Delivery.Values(p.Header)
	for i, value := range values {
		d.step("signature", "%s: %s", p.Header, describeSignature(value))
		asIs := Cause{}
		cost := 0
		if len(values) > 1 {
			cost, asIs = 1, Cause{
				"signature_twice", true, fmt.Sprintf("%s is there %d times; number %d is right", p.Header, len(values), i+1),
				"something on the way adds another: have it pass the vendor's header on, once",
			}
		}
		all = append(all, readings(value, p, cost, asIs)...)
	}
	member := ""
	if m := b.text.Member(p.Member); p.Member != "" && m.IsString() {
		member = m.String()
	}
	if member != "" {
		d.step("signature", "the body's member %s: %s", p.Member, describeSignature(member))
		cost, cause := 0, Cause{}
		if s, _ := p.Scheme(d.at.Scheme); s.Members == nil {
			by := p.SchemeOfMember()
			cost, cause = 1, Cause{
				memberScheme, true, "the signature is in the body, and signs " + strings.Join(by.Members, " and "),
				"set " + d.at.Prefix + "SIGNATURE=" + by.Name + ": with " + d.at.Scheme + " only the header " + p.Header + " counts",
			}
		}
		all = append(all, readings(member, p, cost, cause)...)
	}
	for _, f := range d.Delivery.Header {
		if !strings.EqualFold(f.Name, p.Header) && looksLikeSignature(f) {
			name := humanize.Text(f.Name)
			d.step("signature", "%s: %s. The bridge doesn't look there", name, describeSignature(f.Value))
			elsewhere := readings(f.Value, p, 1, Cause{
				"signature_elsewhere", true, "the signature is in the header " + name + ", and the bridge looks for " + p.Header,
				"if a proxy has renamed it, have it pass it on as it came; nginx takes no header with an underscore unless told",
			})
			for i := range elsewhere {
				elsewhere[i].header = f.Name
			}
			all = append(all, elsewhere...)
		}
	}
	if len(values) == 0 && member == "" {
		d.step("signature", "no %s", p.Header)
	}
	return all
}

func looksLikeSignature(f Field) bool {
	name := strings.ToLower(f.Name)
	return strings.Contains(name, "signature") || strings.Contains(name, "hmac")
}

// describeSignature describes a signature's text: its length, its beginning and its encoding.
func describeSignature(value string) string {
	if value == "" {
		return "empty"
	}
	begin := fmt.Sprintf("%d characters, beginning %s", len(value), excerptText(value, 8))
	mac, encoding := decode(value)
	switch {
	case mac == nil:
		return begin + ", neither hex nor base64"
	case len(mac) == sha256.Size && encoding != "hex":
		return fmt.Sprintf("%s, %d bytes in %s, in hex %x…", begin, len(mac), encoding, mac[:4])
	case len(mac) == sha256.Size:
		return fmt.Sprintf("%s, %d bytes in %s", begin, len(mac), encoding)
	}
	digest := map[int]string{16: ", as many as MD5 has", 20: ", as many as SHA-1 has", 48: ", as many as SHA-384 has", 64: ", as many as SHA-512 has"}[len(mac)]
	return fmt.Sprintf("%s, %d bytes in %s%s; an HMAC-SHA256 has %d", begin, len(mac), encoding, digest, sha256.Size)
}

// decode reads bytes in hex or base64, of any length.
func decode(value string) (mac []byte, encoding string) {
	if mac, err := hex.DecodeString(value); err == nil {
		return mac, "hex"
	}
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(value, "="))
	if mac, err := base64.RawStdEncoding.DecodeString(standard); err == nil {
		return mac, "base64"
	}
	return nil, ""
}

// labelled is a signature with its algorithm or version before it.
var labelled = regexp.MustCompile(`^(?i:sha-?256|hmac-?sha-?256|hmac|v\d+|0x|signature)[=:,x]? *`)

// readings lists what a signature's text may be meant as.
func readings(value string, p *verify.Provider, cost int, given Cause) (all []signature) {
	add := func(text string, more int, cause Cause) {
		mac, encoding := decode(text)
		if len(mac) < minMAC {
			return
		}
		switch {
		case len(mac) < sha256.Size:
			more, cause = more+1, Cause{
				"signature_cut", true, fmt.Sprintf("the signature is right as far as it goes: %d of %d bytes", len(mac), sha256.Size),
				"find what cuts the header: a proxy's limit, a column of a log, the capture",
			}
		case len(mac) > sha256.Size:
			more, cause = more+1, Cause{"signature_long", true, "the signature is right, and something follows it", "find what adds to the header"}
			mac = mac[:sha256.Size]
		case more == 0 && !slices.Contains(p.Encodings, verify.Encoding(encoding)):
			more, cause = more+1, Cause{"signature_" + encoding, true, "the signature is right, and in " + encoding + ", where " + p.Title + " documents " + string(p.Encodings[0]), "the vendor has changed its encoding, or a proxy does: report it"}
		}
		if cause.Code == "" {
			cause = given
		}
		all = append(all, signature{mac: mac, cost: cost + more, cause: cause})
	}
	add(value, 0, Cause{})
	for _, trimmed := range []struct {
		text string
		Cause
	}{
		{strings.Join(strings.Fields(value), ""), Cause{"signature_white_space", true, "the signature is right without the white space in it", "find what breaks the header's line or adds blanks"}},
		{strings.Trim(value, `"'<>;, `), Cause{"signature_quoted", true, "the signature is right without the marks around it", "have whatever puts quotation marks around the header leave it as it came"}},
		{labelled.ReplaceAllString(value, ""), Cause{"signature_label", true, "the signature is right without the label before it", "the vendor documents none: if a proxy adds it, have it pass the header on unchanged, else report it"}},
		{unescaped(value), Cause{"signature_escaped", true, "the signature is right once its % escapes are undone", "have whatever escapes the header leave it as it came"}},
	} {
		if trimmed.text != value {
			add(trimmed.text, 1, trimmed.Cause)
		}
	}
	if parts := strings.Split(value, ","); len(parts) > 1 && len(parts) <= 8 {
		for _, part := range parts {
			add(strings.TrimSpace(part), 1, Cause{"signature_joined", true, "one of the signatures that the header joins with commas is right", "something on the way joins two headers, or adds one: have it pass on the vendor's"})
		}
	}
	return all
}

func unescaped(value string) string {
	plain, err := url.PathUnescape(value)
	if err != nil {
		return value
	}
	return plain
}

// isBeginningOf reports whether the MAC, as far as it is known, is that one.
func (s signature) isBeginningOf(mac []byte) bool { return bytes.HasPrefix(mac, s.mac) }

func excerptText(text string, most int) string {
	if len(text) > most {
		text = text[:most]
	}
	return humanize.Text(text) + "…"
}
