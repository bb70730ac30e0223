package diagnosis

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// found is a signature, and the combination that makes it right.
type found struct {
	signature signature
	key       key
	body      body
	text      signedText
}

const (
	// maxCauses is the largest number of causes of a combination that is tried.
	maxCauses = 3
	// maxWork bounds a search, in bytes to hash; each MAC counts as workPerMAC more.
	maxWork    = 1 << 30
	workPerMAC = 256
)

// search finds the secret, body and text that make one of the signatures right with the fewest
// causes.
func (d *diagnoser) search() (found, bool) {
	var signatures [maxCauses + 1][]signature // by the number of their causes
	for _, s := range d.signatures {
		if n := len(s.causes); n <= maxCauses {
			signatures[n] = append(signatures[n], s)
		}
	}
	keys := d.keys()
	work := 0
	for causes := range maxCauses + 1 {
		for body := range d.body.bodies() {
			for _, text := range d.texts(body) {
				for _, key := range keys {
					left := causes - len(body.causes) - len(key.causes) - len(text.causes) // for the signature
					if !d.isExpected(text, key.endpoint) {
						left--
					}
					if left < 0 || len(signatures[left]) == 0 {
						continue
					}
					if work += text.len() + workPerMAC + len(signatures[left]); work > maxWork {
						d.step("note", "the delivery is large: not everything was tried")
						return found{}, false
					}
					mac := verify.Sum(key.Secret, text.parts...)
					for _, s := range signatures[left] {
						if bytes.HasPrefix(mac, s.mac) {
							return found{s, key, body, text}, true
						}
					}
				}
			}
		}
	}
	return found{}, false
}

// isExpected reports whether the endpoint is set to the text's scheme. If settings describe the
// signature, the text's own causes tell the difference.
func (d *diagnoser) isExpected(t signedText, endpoint Endpoint) bool {
	return d.isDescribed() || t.scheme == endpoint.Scheme || endpoint.Scheme == verify.Auto && slices.Contains(endpoint.Provider.SchemeNames(), t.scheme)
}

// causes returns how the combination differs from what the bridge expects. The signature's own
// causes are those for the endpoint asked: where the endpoint of the secret looks, they are none.
func (d *diagnoser) causes(f found) (all []Cause) {
	if !strings.EqualFold(f.signature.header, f.key.endpoint.Provider.Header) {
		all = append(all, f.signature.causes...)
	}
	all = slices.Concat(all, f.key.causes, f.body.causes, f.text.causes)
	if !d.isExpected(f.text, f.key.endpoint) {
		all = append(all, f.text.unexpected(f.key))
	}
	return all
}

// unexpected returns the cause for a text that the endpoint's scheme doesn't sign.
func (t signedText) unexpected(k key) Cause {
	signed := "it is signed with " + k.name + ", over "
	switch {
	case slices.Contains(k.endpoint.Provider.SchemeNames(), t.scheme):
		return proven(
			"other_scheme", fmt.Sprintf("%s%s; the endpoint is set to %s", signed, t.scheme, k.endpoint.Scheme),
			fmt.Sprintf("set %sSIGNATURE=%s", k.endpoint.Prefix, t.scheme),
		)
	case t.unfit != "":
		return proven(
			"data_shape", fmt.Sprintf("%s%s, which isn't an object: it can't be verified under scheme %s", signed, t.name, t.unfit),
			"usually a dashboard's test is like that: cause a real event at the vendor and capture that",
		)
	case t.scheme != "":
		t.name = "what another vendor's scheme " + t.scheme + " covers"
	}
	return proven(
		"unknown_scheme", signed+t.name+", which no scheme of this provider covers",
		"report it, with this output: the bridge has no setting for that",
	)
}

// nextCause adds the cause that remains once those of f are mended.
func (d *diagnoser) nextCause(f found) {
	endpoint := f.key.endpoint
	if !slices.Contains(endpoint.Provider.SchemeNames(), f.text.scheme) || f.body.text == nil || endpoint.Provider.Explain != nil {
		return
	}
	endpoint.Scheme, endpoint.Secrets = f.text.scheme, func() []secret.Secret { return []secret.Secret{f.key.Secret} }
	next := d.Case
	next.Endpoints, next.EndpointName = []Endpoint{endpoint}, endpoint.Name
	signature := endpoint.Provider.Encodings[0].Encode(verify.Sum(f.key.Secret, f.text.parts...))
	next.Delivery = Delivery{Header: []Field{{endpoint.Provider.Header, signature}}, Body: f.body.raw}
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
