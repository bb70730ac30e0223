package diagnosis

import (
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

// signature is a MAC as it may have been sent, or its beginning.
type signature struct {
	mac    []byte
	header string  // that it was in, if not the provider's
	causes []Cause // of the difference from the signature as the vendor sends it
}

// memberScheme is the code of the cause that names the scheme, too.
const memberScheme = "signature_member"

// minMAC is the number of bytes of a MAC that can't be right by accident.
const minMAC = 8

// examineSignatures adds a step for each signature. It returns the signatures, in each way in which
// they can be read.
func (d *diagnoser) examineSignatures(b body) (all []signature) {
	p := d.at.Provider
	values := d.Delivery.Values(p.Header)
	for i, value := range values {
		d.step("signature", "%s: %s", p.Header, describeSignature(value))
		var causes []Cause
		if len(values) > 1 {
			causes = append(causes, proven(
				"signature_twice", fmt.Sprintf("%s is there %d times; number %d is right", p.Header, len(values), i+1),
				"something on the way adds another: have it pass the vendor's header on, once",
			))
		}
		all = append(all, readings(p, value, causes...)...)
	}
	member := ""
	if m := b.text.Member(p.Member); p.Member != "" && m.IsString() {
		member = m.String()
	}
	if member != "" {
		d.step("signature", "the body's member %s: %s", p.Member, describeSignature(member))
		var causes []Cause
		if s, _ := p.Scheme(d.at.Scheme); s.Members == nil {
			by := p.SchemeOfMember()
			causes = append(causes, proven(
				memberScheme, "the signature is in the body, and signs "+strings.Join(by.Members, " and "),
				"set "+d.at.Prefix+"SIGNATURE="+by.Name+": with "+d.at.Scheme+" only the header "+p.Header+" counts",
			))
		}
		all = append(all, readings(p, member, causes...)...)
	}
	for _, f := range d.Delivery.Header {
		if !strings.EqualFold(f.Name, p.Header) && looksLikeSignature(f) {
			name := humanize.Text(f.Name)
			d.step("signature", "%s: %s. The bridge doesn't look there", name, describeSignature(f.Value))
			elsewhere := readings(p, f.Value, proven(
				"signature_elsewhere", "the signature is in the header "+name+", and the bridge looks for "+p.Header,
				"if a proxy has renamed it, have it pass it on as it came; nginx takes no header with an underscore unless told",
			))
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

// describeSignature describes a signature's length, beginning and encoding.
func describeSignature(value string) string {
	if value == "" {
		return "empty"
	}
	begin := fmt.Sprintf("%d characters, beginning %s", len(value), humanize.Text(value[:min(len(value), 8)])+"…")
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

// decode decodes hex or base64 of any length.
func decode(value string) (mac []byte, encoding string) {
	if mac, err := hex.DecodeString(value); err == nil {
		return mac, "hex"
	}
	if mac, err := decodeBase64(value); err == nil {
		return mac, "base64"
	}
	return nil, ""
}

// decodeBase64 decodes base64 in either alphabet, padded or not.
func decodeBase64(text string) ([]byte, error) {
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	return base64.RawStdEncoding.DecodeString(standard)
}

// labelled matches an algorithm or a version before a signature.
var labelled = regexp.MustCompile(`^(?i:sha-?256|hmac-?sha-?256|hmac|v\d+|0x|signature)[=:,x]? *`)

// readings returns the MACs as which a signature's text can be read.
func readings(p *verify.Provider, value string, given ...Cause) (all []signature) {
	add := func(text string, causes ...Cause) {
		mac, encoding := decode(text)
		switch size := sha256.Size; {
		case len(mac) < minMAC:
			return
		case len(mac) < size:
			causes = append(causes, proven(
				"signature_cut", fmt.Sprintf("the signature is right as far as it goes: %d of %d bytes", len(mac), size),
				"find what cuts the header: a proxy's limit, a column of a log, the capture",
			))
		case len(mac) > size:
			mac, causes = mac[:size], append(causes, proven("signature_long", "the signature is right, and something follows it", "find what adds to the header"))
		case len(causes) == 0 && !slices.Contains(p.Encodings, verify.Encoding(encoding)):
			causes = append(causes, proven(
				"signature_"+encoding, "the signature is right, and in "+encoding+", where "+p.Title+" documents "+string(p.Encodings[0]),
				"the vendor has changed its encoding, or a proxy does: report it",
			))
		}
		all = append(all, signature{mac: mac, causes: slices.Concat(given, causes)})
	}
	add(value)
	for _, r := range signatureReadings {
		if text := r.read(value); text != value {
			add(text, r.cause)
		}
	}
	if parts := strings.Split(value, ","); len(parts) > 1 && len(parts) <= 8 {
		for _, part := range parts {
			add(strings.TrimSpace(part), proven("signature_joined", "one of the signatures that the header joins with commas is right", "something on the way joins two headers, or adds one: have it pass on the vendor's"))
		}
	}
	return all
}

// signatureReadings are other ways to read a signature's text.
var signatureReadings = []struct {
	cause Cause
	read  func(text string) string
}{
	{
		proven("signature_white_space", "the signature is right without the white space in it", "find what breaks the header's line or adds blanks"),
		func(s string) string { return strings.Join(strings.Fields(s), "") },
	},
	{
		proven("signature_quoted", "the signature is right without the marks around it", "find what puts quotation marks around the header, and have it pass the header on unchanged"),
		func(s string) string { return strings.Trim(s, `"'<>;, `) },
	},
	{
		proven("signature_label", "the signature is right without the label before it", "the vendor documents none: if a proxy adds it, have it pass the header on unchanged, else report it"),
		func(s string) string { return labelled.ReplaceAllString(s, "") },
	},
	{
		proven("signature_escaped", "the signature is right once its % escapes are undone", "find what escapes the header, and have it pass the header on unchanged"),
		unescaped,
	},
}

func unescaped(value string) string {
	plain, err := url.PathUnescape(value)
	if err != nil {
		return value
	}
	return plain
}
