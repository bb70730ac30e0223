package diagnosis

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// examineTexts adds a step for each scheme of the provider: what it signs, and how the secrets'
// MACs begin.
func (d *diagnoser) examineTexts(b body) {
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
		if t.name != "" {
			asSent = ", as it was sent"
		}
		d.step("signed", "by %s%s%s: %d bytes, %s; %s", t.scheme, asSent, set, t.len(), ends(t.parts), strings.Join(macs, ", "))
	}
}

// ends quotes the beginning and the end of a text.
func ends(parts [][]byte) string {
	whole := string(slices.Concat(parts...))
	const limit = 16
	if len(whole) <= 2*limit {
		return humanize.Text(whole)
	}
	return humanize.Text(whole[:limit]) + " … " + humanize.Text(whole[len(whole)-limit:])
}

// found is a combination that makes a signature right.
type found struct {
	signature signature
	key       key
	body      body
	text      signedText
}

// maxWork is the largest number of bytes that a search hashes.
const maxWork = 1 << 30

// search finds the secret, body and text that make one of the signatures with the fewest
// assumptions.
func (d *diagnoser) search(b body, signatures []signature) (found, bool) {
	keys := d.keys()
	work := 0
	for assumptions := range 4 {
		for body := range b.bodies() {
			for _, text := range d.texts(body) {
				for _, key := range keys {
					assumed := len(body.causes) + len(key.causes) + d.schemeCost(text, key)
					if key.IsEmpty() || !slices.ContainsFunc(signatures, func(s signature) bool { return assumed+len(s.causes) == assumptions }) {
						continue
					}
					if work += text.len(); work > maxWork {
						d.step("note", "the body is large: not everything was tried")
						return found{}, false
					}
					mac := verify.Sum(key.Secret, text.parts...)
					for _, s := range signatures {
						if assumed+len(s.causes) == assumptions && bytes.HasPrefix(mac, s.mac) {
							return found{s, key, body, text}, true
						}
					}
				}
			}
		}
	}
	return found{}, false
}

// schemeCost returns 0 if the text is that of the scheme to which the secret's endpoint is set.
func (d *diagnoser) schemeCost(t signedText, k key) int {
	if d.isDescribed() {
		return len(t.causes)
	}
	at := k.at
	if t.scheme == at.Scheme || at.Scheme == verify.Auto && slices.Contains(at.Provider.SchemeNames(), t.scheme) {
		return 0
	}
	return 1
}

// causes returns the differences from what the bridge expects.
func (d *diagnoser) causes(f found) (all []Cause) {
	at := f.key.at
	if !strings.EqualFold(f.signature.header, at.Provider.Header) { // it is elsewhere only to this endpoint
		all = append(all, f.signature.causes...)
	}
	all = slices.Concat(all, f.key.causes, f.body.causes, f.text.causes)
	if d.isDescribed() || d.schemeCost(f.text, f.key) == 0 || slices.ContainsFunc(all, func(c Cause) bool { return c.Code == memberScheme }) {
		return all
	}
	if slices.Contains(at.Provider.SchemeNames(), f.text.scheme) {
		return append(all, proven(
			"other_scheme", fmt.Sprintf("it is signed with %s, over %s; the endpoint is set to %s", f.key.name, f.text.scheme, at.Scheme),
			fmt.Sprintf("set %sSIGNATURE=%s", at.Prefix, f.text.scheme),
		))
	}
	if f.text.unfit != "" {
		return append(all, proven(
			"data_shape", fmt.Sprintf("it is signed with %s, over %s, the last of which isn't an object: it can't be verified under scheme %s", f.key.name, f.text.name, f.text.unfit),
			"a dashboard's test is like that, as a rule: cause a real event at the vendor and capture that",
		))
	}
	name := f.text.name
	if f.text.scheme != "" {
		name = "what another vendor's scheme " + f.text.scheme + " covers"
	}
	return append(all, proven(
		"unknown_scheme", fmt.Sprintf("it is signed with %s, over %s, which no scheme of this provider covers", f.key.name, name),
		"report it, with this output: the bridge has no setting for that",
	))
}

// nextCause adds the cause that remains once those of f are gone.
func (d *diagnoser) nextCause(f found) {
	at := f.key.at
	if !slices.Contains(at.Provider.SchemeNames(), f.text.scheme) || f.body.text == nil || at.Provider.Explain != nil {
		return
	}
	at.Scheme, at.Secrets = f.text.scheme, func() []secret.Secret { return []secret.Secret{f.key.Secret} }
	next := d.Case
	next.Endpoints, next.At = []Endpoint{at}, at.Name
	signature := at.Provider.Encodings[0].Encode(verify.Sum(f.key.Secret, f.text.parts...))
	next.Delivery = Delivery{Header: []Field{{at.Provider.Header, signature}}, Body: f.body.raw}
	report, err := Diagnose(next)
	if err != nil || report.Accepted || len(report.Causes) == 0 {
		return
	}
	would := fmt.Sprintf("still be refused, %d %s", report.Status, report.Outcome)
	if report.Status == http.StatusOK {
		would = "be " + report.Outcome + ", and not published"
	}
	d.cause(proven("then", "once that is fixed, it would "+would+": "+report.Causes[0].Says, report.Causes[0].Do))
}
