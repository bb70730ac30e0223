package diagnosis

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// signature is a MAC that may have been sent, or the beginning of one.
type signature struct {
	mac    []byte
	header string  // where it was; "": where the provider has it
	causes []Cause // of the difference from a signature as the vendor sends it
}

// minMAC is how many bytes of a MAC can't be right by chance.
const minMAC = 8

func (d *diagnoser) examineSignatures() {
	p := d.endpoint.Provider
	values := d.Delivery.Values(p.Header)
	for i, value := range values[:min(len(values), maxLike)] {
		d.step("signature", "%s: %s", p.Header, describeSignature(value))
		var causes []Cause
		if len(values) > 1 {
			causes = append(causes, proven(
				"signature_twice", fmt.Sprintf("%s is there %d times; number %d is right", p.Header, len(values), i+1),
				"something on the way adds another: have it pass on the vendor's alone",
			))
		}
		d.addSignatures("", value, causes...)
	}
	member := ""
	if m := d.body.text.Member(p.Member); p.Member != "" && m.IsString() {
		member = m.String()
	}
	if member != "" {
		d.step("signature", "the body's member %s: %s", p.Member, describeSignature(member))
		d.addSignatures("", member)
	}
	for _, f := range d.Delivery.like("signature", "hmac") {
		if strings.EqualFold(f.Name, p.Header) {
			continue
		}
		d.step("signature", "%s: %s. The bridge doesn't look there", f.Name, describeSignature(f.Value))
		d.addSignatures(f.Name, f.Value, proven(
			"signature_elsewhere", "the signature is in the header "+f.Name+", and the bridge looks for "+p.Header,
			"if a proxy has renamed it, have the proxy pass it on unchanged; nginx drops headers with an underscore unless underscores_in_headers is on",
		))
	}
	if len(values) == 0 && member == "" {
		d.step("signature", "no %s", p.Header)
	}
}

// digests names the digests of other lengths than SHA-256's, by their bytes.
var digests = map[int]string{16: ", as many as MD5 has", 20: ", as many as SHA-1 has", 48: ", as many as SHA-384 has", 64: ", as many as SHA-512 has"}

// describeSignature describes a signature's length, beginning and encoding.
func describeSignature(value string) string {
	if value == "" {
		return "empty"
	}
	begin := fmt.Sprintf("%d characters, beginning %s", len(value), value[:min(len(value), 8)]+"…")
	mac, encoding := decode(value)
	if mac == nil {
		return begin + ", neither hex nor base64"
	}
	begin += fmt.Sprintf(", %d bytes in %s", len(mac), encoding)
	switch {
	case len(mac) != sha256.Size:
		return fmt.Sprintf("%s%s; an HMAC-SHA256 has %d", begin, digests[len(mac)], sha256.Size)
	case encoding != verify.Hex:
		return fmt.Sprintf("%s, in hex %x…", begin, mac[:4])
	}
	return begin
}

// decode decodes hex or base64 of any length.
func decode(value string) (mac []byte, encoding verify.Encoding) {
	if mac, err := hex.DecodeString(value); err == nil {
		return mac, verify.Hex
	}
	if mac, err := decodeBase64(value); err == nil {
		return mac, verify.Base64
	}
	return nil, ""
}

// decodeBase64 decodes base64 in either alphabet, padded or not.
func decodeBase64(text string) ([]byte, error) {
	text = strings.TrimRight(text, "=")
	return verify.Alphabet(text).DecodeString(text)
}

// labelled matches an algorithm or a version before a signature.
var labelled = regexp.MustCompile(`^(?i:sha-?256|hmac-?sha-?256|hmac|v\d+|0x|signature)[=:,x]? *`)

var signatureReadings = []reading{
	{"signature_white_space", "the signature is right without the white space in it", "find what breaks the header's line or adds blanks", one(func(s string) string { return strings.Join(strings.Fields(s), "") })},
	{"signature_quoted", "the signature is right without the marks around it", "find what puts quotation marks around the header, and have it pass the header on unchanged", one(func(s string) string { return strings.Trim(s, `"'<>;, `) })},
	{"signature_label", "the signature is right without the label before it", "the vendor documents none: if a proxy adds it, have it pass the header on unchanged, else report it", one(func(s string) string { return labelled.ReplaceAllString(s, "") })},
	{"signature_escaped", "the signature is right once its % escapes are undone", "find what escapes the header, and have it pass the header on unchanged", one(unescaped)},
	{"signature_joined", "one of the signatures that the header joins with commas is right", "something on the way joins two headers, or adds one: have it pass on the vendor's", func(s string) []string { return strings.Split(strings.ReplaceAll(s, " ", ""), ",") }},
}

func unescaped(value string) string {
	plain, _ := url.PathUnescape(value) // "" if there is an error
	return plain
}

// addSignatures adds every MAC as which the value of a header or a member can be read.
func (d *diagnoser) addSignatures(header, value string, given ...Cause) {
	p := d.endpoint.Provider
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
		case len(causes) == 0 && !slices.Contains(p.Encodings, encoding):
			causes = append(causes, proven(
				"signature_"+string(encoding), "the signature is right, and in "+string(encoding)+", where "+p.Title+" documents "+string(p.Encodings[0]),
				"the vendor or a proxy has changed the encoding: report it",
			))
		}
		d.signatures = append(d.signatures, signature{mac, header, slices.Concat(given, causes)})
	}
	add(value)
	for other, cause := range otherTexts(signatureReadings, value) {
		add(other, cause)
	}
}
