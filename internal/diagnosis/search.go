package diagnosis

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// signedText is what may have been signed.
type signedText struct {
	scheme string // one of verify's, or "" where the bridge has none for it
	says   string
	parts  [][]byte
}

func (t signedText) len() (n int) {
	for _, part := range t.parts {
		n += len(part)
	}
	return n
}

// texts lists what may have been signed of a body: what the vendors' pages say, then what others do.
func (b body) texts() (all []signedText) {
	for _, p := range providers.All {
		for _, s := range p.Schemes {
			if slices.ContainsFunc(all, func(t signedText) bool { return t.scheme == s.Name }) {
				continue
			}
			if parts := s.Signed(b.text); parts != nil {
				all = append(all, signedText{s.Name, "", parts})
			}
			if b.text == nil || bytes.Equal(bytes.TrimSpace(b.raw), b.text) { // a capture adds a line break
				continue
			}
			if parts := s.SignedAsSent(b.raw); parts != nil && !bytes.Equal(bytes.Join(parts, nil), bytes.Join(s.Parts(b.text), nil)) {
				all = append(all, signedText{s.Name, "the text as it was sent", parts})
			}
		}
	}
	timestamp := b.text.Member("timestamp")
	if b.text == nil {
		all = append(all, signedText{"", "the bytes as they came", [][]byte{b.raw}})
	}
	if timestamp != nil {
		all = append(all, signedText{"", "the timestamp, a full stop and the body", [][]byte{timestamp, {'.'}, b.text}})
	}
	if b.text.Member("signature") != nil {
		rest := slices.DeleteFunc(members(b.text), func(m verify.Member) bool { return m.Name == "signature" })
		all = append(all, signedText{"", "the body without its signature", [][]byte{rest.Text()}})
	}
	return all
}

// examineTexts describes what each scheme of the provider signs, and how the MACs of the secrets begin.
func (d *diagnosing) examineTexts(b body) {
	for _, t := range b.texts() {
		if !slices.Contains(d.at.Provider.SchemeNames(), t.scheme) {
			continue
		}
		var macs []string
		for i, s := range d.at.Secrets() {
			macs = append(macs, fmt.Sprintf("secret %d makes %s…", i, hex.EncodeToString(verify.Sum(s, t.parts...)[:4])))
		}
		set := ""
		if d.at.Scheme != t.scheme && d.at.Scheme != verify.Auto {
			set = ", which the endpoint isn't set to"
		}
		asSent := ""
		if t.says != "" {
			asSent = ", as it was sent"
		}
		d.step("signed", "by %s%s%s: %d bytes, %s; %s", t.scheme, asSent, set, t.len(), ends(t.parts), strings.Join(macs, ", "))
	}
}

// ends quotes how a text begins and ends.
func ends(parts [][]byte) string {
	var whole []byte
	for _, part := range parts {
		whole = append(whole, part...)
	}
	const most = 16
	if len(whole) <= 2*most {
		return humanize.Text(string(whole))
	}
	return humanize.Text(string(whole[:most])) + " … " + humanize.Text(string(whole[len(whole)-most:]))
}

// found is what explains a signature: which of all that may have been otherwise was.
type found struct {
	signature signature
	key       key
	body      body
	text      signedText
	cost      int
}

// maxWork bounds the bytes that are hashed in a search.
const maxWork = 1 << 30

// search finds a secret, a body and a text that make one of the signatures, with as few assumptions as
// possible.
func (d *diagnosing) search(b body, signatures []signature) (best found, ok bool) {
	keys := d.keys()
	work := 0
	for most := 0; most <= 3; most++ { // assumptions
		for _, body := range b.bodies() {
			for _, text := range body.texts() {
				for _, key := range keys {
					cost := body.cost + key.cost + d.schemeCost(text, key)
					if cost > most || key.IsEmpty() {
						continue
					}
					if work += text.len(); work > maxWork {
						d.step("note", "the body is large: not all that may be otherwise was tried")
						return found{}, false
					}
					mac := verify.Sum(key.Secret, text.parts...)
					for _, s := range signatures {
						if cost+s.cost == most && s.isBeginningOf(mac) {
							return found{s, key, body, text, most}, true
						}
					}
				}
			}
		}
	}
	return found{}, false
}

// judgedBy returns the endpoint whose delivery it is, if the secret is right: where another vendor's endpoint has the
// secret, the body tells whether the address or the secret is the wrong one.
func (d *diagnosing) judgedBy(k key) Endpoint {
	if k.at.Provider.Name != d.at.Provider.Name && shapeOf(d.Delivery.Body) == d.at.Provider.Name {
		return d.at
	}
	return k.at
}

// schemeCost is 1 where the signature would cover what the secret's endpoint isn't set to.
func (d *diagnosing) schemeCost(t signedText, k key) int {
	at := d.judgedBy(k)
	if t.scheme == at.Scheme || at.Scheme == verify.Auto && slices.Contains(at.Provider.SchemeNames(), t.scheme) {
		return 0
	}
	return 1
}

// causes returns what differs from what the bridge expects.
func (d *diagnosing) causes(f found) (all []Cause) {
	at := d.judgedBy(f.key)
	if f.signature.cause.Code != "" && !strings.EqualFold(f.signature.header, at.Provider.Header) {
		all = append(all, f.signature.cause)
	}
	if f.key.cause.Code != "" {
		all = append(all, f.key.cause)
	}
	if f.body.cause.Code != "" {
		all = append(all, f.body.cause)
	}
	if d.schemeCost(f.text, f.key) == 0 || f.signature.cause.Code == memberScheme {
		return all
	}
	if slices.Contains(at.Provider.SchemeNames(), f.text.scheme) {
		return append(all, Cause{
			"other_scheme", true, fmt.Sprintf("it is signed with secret %d of %s, over %s; the endpoint is set to %s", f.key.position, f.key.at.SecretsFrom, f.text.scheme, at.Scheme),
			fmt.Sprintf("set %sSIGNATURE=%s", at.Prefix, f.text.scheme),
		})
	}
	says := f.text.says
	if f.text.scheme != "" {
		says = "what another vendor's scheme " + f.text.scheme + " covers"
	}
	return append(all, Cause{
		"unknown_scheme", true, fmt.Sprintf("it is signed with secret %d of %s, over %s, which no scheme of this provider does", f.key.position, f.key.at.SecretsFrom, says),
		"report it, with this output: the bridge has no setting for that",
	})
}

// afterwards returns what would still be wrong once the causes are gone.
func (d *diagnosing) afterwards(f found) error {
	at := d.judgedBy(f.key)
	if !slices.Contains(at.Provider.SchemeNames(), f.text.scheme) || f.body.text == nil {
		return nil
	}
	text, err := stringify.Parse(f.body.text)
	if err != nil {
		return err
	}
	received := d.Received
	if received.IsZero() {
		received = d.Now
	}
	signature := at.Provider.Encodings[0].Encode(verify.Sum(f.key.Secret, f.text.parts...))
	r := at.Request(http.Header{at.Provider.Header: {signature}}, f.body.raw, text, received)
	r.Secrets, r.Scheme, r.Untimed = append(r.Secrets[:0:0], f.key.Secret), f.text.scheme, d.Received.IsZero()
	_, err = at.Provider.Verify(r)
	return err
}
