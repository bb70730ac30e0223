package diagnosis

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// examineTexts describes what each scheme of the provider signs, and how the MACs of the secrets begin.
func (d *diagnosing) examineTexts(b body) {
	for _, t := range d.texts(b) {
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
			for _, text := range d.texts(body) {
				for _, key := range keys {
					cost := body.cost + key.cost + d.schemeCost(text, key)
					if key.IsEmpty() || !slices.ContainsFunc(signatures, func(s signature) bool { return cost+s.cost == most }) {
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

// schemeCost is 0 where the signature would cover what the secret's endpoint is set to.
func (d *diagnosing) schemeCost(t signedText, k key) int {
	at := d.judgedBy(k)
	if t.scheme == at.Scheme || at.Scheme == verify.Auto && slices.Contains(at.Provider.SchemeNames(), t.scheme) {
		return 0
	}
	return max(1, t.cost)
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
	if f.text.unfit != "" {
		return append(all, Cause{
			"data_shape", true, fmt.Sprintf("it is signed with secret %d of %s, over %s, of which the last is no object: it can't be verified under scheme %s", f.key.position, f.key.at.SecretsFrom, f.text.says, f.text.unfit),
			"a dashboard's test is like that, as a rule: cause a real event at the vendor and capture that",
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
func (d *diagnosing) afterwards(f found) (Cause, bool) {
	at := d.judgedBy(f.key)
	if !slices.Contains(at.Provider.SchemeNames(), f.text.scheme) || f.body.text == nil || at.Provider.Explain != nil {
		return Cause{}, false
	}
	at.Scheme, at.Secrets = f.text.scheme, func() []secret.Secret { return []secret.Secret{f.key.Secret} }
	next := diagnosing{Case: d.Case, at: at}
	next.Endpoints, next.At = []Endpoint{at}, at.Name
	signature := at.Provider.Encodings[0].Encode(verify.Sum(f.key.Secret, f.text.parts...))
	next.Delivery = Delivery{Header: []Field{{at.Provider.Header, signature}}, Body: f.body.raw}
	answer := next.judge(next.asCaptured())
	if answer.err == nil {
		return Cause{}, false
	}
	next.examineClaims(answer)
	c := Cause{"then", true, answer.err.Error(), "capture another delivery once it is, and try again"}
	if len(next.report.Causes) > 0 {
		c.Says, c.Do = next.report.Causes[0].Says, next.report.Causes[0].Do
	}
	if answer.status == http.StatusOK {
		c.Says = "with that put right it would be " + answer.outcome + ", and not published: " + c.Says
	} else {
		c.Says = fmt.Sprintf("with that put right it would still be refused, %d %s: %s", answer.status, answer.outcome, c.Says)
	}
	return c, true
}
