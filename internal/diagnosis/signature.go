package diagnosis

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// maxShown is how many signatures of a delivery, and secrets of its endpoint, the steps show. All are tried.
const maxShown = 8

// examineSignatures adds a step for each header that has a signature or should have one.
func (d *diagnoser) examineSignatures() {
	d.signatures = make(map[verify.MAC][]Cause)
	p, at := d.endpoint.Provider, d.endpoint.Provider.Signature
	for _, f := range d.Delivery.Header {
		h, _ := p.Rename((&Delivery{Header: []Field{f}}).header()) // no error: one header has one name
		expected, _, _ := at.Format.Read(nil, h.Get(at.Header))    // none if it has another form
		isExpected := h[at.Header] != nil
		d.hasHeader = d.hasHeader || isExpected
		d.examineSignature(f, expected, isExpected)
	}
	if m := d.body.text.Member(at.Member); at.Member != "" && m.IsString() {
		mac, _ := verify.Decode(m.String(), at.Format.Encodings)
		d.examineSignature(Field{"the body's member " + at.Member, m.String()}, []verify.MAC{mac}, true)
	}
	if d.hidden > 0 {
		d.step("signature", "%d more, which are judged too", d.hidden)
	}
}

// macText matches a MAC in hex, and words that may be one in base64.
var macText = regexp.MustCompile(`[0-9A-Fa-f]{64}|[A-Za-z0-9+/_-]{43,}`)

// examineSignature collects the signatures in a header or member. expected has those in the form that
// the endpoint expects; isExpected reports whether it expects signatures there.
func (d *diagnoser) examineSignature(f Field, expected []verify.MAC, isExpected bool) {
	for _, mac := range expected {
		d.signatures[mac] = nil
	}
	var begins []string
	hasMAC := false
	for _, text := range macText.FindAllString(f.Value, -1) {
		mac, ok := verify.Decode(text, []verify.Encoding{verify.Hex, verify.Base64})
		if !ok {
			continue
		}
		hasMAC = true
		if _, isKnown := d.signatures[mac]; !isKnown {
			d.signatures[mac] = []Cause{d.misplaced(f.Name, isExpected)}
		}
		if d.shown == maxShown {
			d.hidden++
			continue
		}
		d.shown++
		begins = append(begins, fmt.Sprintf("%x…", mac[:4]))
	}
	switch {
	case begins != nil:
		d.step("signature", "%s: %d characters, with the MAC %s", f.Name, len(f.Value), strings.Join(begins, ", "))
	case isExpected && !hasMAC:
		d.step("signature", "%s: %d characters, without a MAC of 32 bytes", f.Name, len(f.Value))
	}
}

// misplaced returns the cause of a signature in another header, or in the right one in another form.
func (d *diagnoser) misplaced(header string, isExpected bool) Cause {
	prefix := d.endpoint.Prefix
	problem := "the signature is in the header " + header + ", but the bridge looks for it in " + d.endpoint.Provider.Signature.Header
	form := "the signature is right, but " + header + " has it in another encoding, with other text around it, or beside another value"
	switch {
	case isExpected && d.hasSettings():
		return proven(form+"; "+prefix+"SIGNATURE_FORMAT is "+d.endpoint.Provider.Settings.SignatureFormat,
			"set "+prefix+"SIGNATURE_FORMAT as the header has it, unless something changes the header on the way")
	case isExpected:
		return proven(form, "find what changes the header on the way, and have it pass on the vendor's alone. "+
			"If nothing does, the vendor has changed it: report that")
	case d.hasSettings():
		return proven(problem, "set "+prefix+"SIGNATURE_HEADER="+header+", unless a proxy has renamed it")
	}
	return proven(problem, "if a proxy has renamed it, have the proxy pass it on unchanged; "+
		"nginx drops headers with an underscore unless underscores_in_headers is on")
}
