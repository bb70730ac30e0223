package diagnosis

import (
	"fmt"
	"slices"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// found is a combination that makes a signature right, with its causes.
type found struct {
	key    key
	body   body
	text   signedText
	causes []Cause // in which it differs from what the bridge expects
}

const (
	// maxCauses is the most causes that a combination may have, besides the signature's own.
	maxCauses = 2
	// maxWork bounds a search, in bytes to hash; each MAC counts as workPerMAC more.
	maxWork    = 1 << 30
	workPerMAC = 256
)

// search finds the secret, body and text that make a signature right with the fewest causes.
func (d *diagnoser) search() (found, bool) {
	keys, bodies, work := d.keys(), d.bodies(), 0
	texts := make([][]signedText, len(bodies)) // of each body
	for i, body := range bodies {
		texts[i] = d.texts(body)
	}
	for limit := range maxCauses + 1 {
		for i, body := range bodies {
			for _, text := range texts[i] {
				for _, key := range keys {
					causes := slices.Concat(key.causes, body.causes, text.causes, d.unexpected(text, key.endpoint))
					if len(causes) != limit {
						continue
					}
					if work += len(body.raw) + workPerMAC; work > maxWork {
						d.step("note", "the body is large, or there are many secrets: not everything was tried")
						return found{}, false
					}
					mac := verify.MAC(verify.Sum(key.Secret, text.parts...))
					if i := slices.IndexFunc(d.signatures, func(s signature) bool { return s.mac == mac }); i >= 0 {
						if key.endpoint.Name == d.endpoint.Name { // else the other endpoint looks in its own places
							causes = slices.Concat(d.signatures[i].causes, causes)
						}
						return found{key, body, text, causes}, true
					}
				}
			}
		}
	}
	return found{}, false
}

// unexpected returns the cause if neither this endpoint nor the secret's owner is set to the scheme.
func (d *diagnoser) unexpected(t signedText, owner Endpoint) []Cause {
	switch {
	case t.scheme == "", d.endpoint.takes(t.scheme), owner.takes(t.scheme):
		return nil
	case owner.knows(t.scheme):
		return []Cause{proven("it is signed over "+t.scheme+", and the endpoint is set to "+owner.Scheme,
			"set "+owner.Prefix+"SIGNATURE="+t.scheme)}
	}
	return []Cause{unknownScheme(t.scheme)}
}

// nextCause adds the cause that would remain without those of f.
func (d *diagnoser) nextCause(f found) {
	e := d.endpoint
	if f.key.endpoint.Name != e.Name || !e.knows(f.text.scheme) {
		return
	}
	e.Scheme, e.Secrets = f.text.scheme, func() []secret.Secret { return []secret.Secret{f.key.Secret} }
	next := d.Case
	next.Endpoints, next.EndpointName = []Endpoint{e}, e.Name
	signature := e.Provider.Signature.Format.Write(verify.Sum(f.key.Secret, f.text.parts...), "")
	next.Delivery = Delivery{Header: []Field{{e.Provider.Signature.Header, signature}}, Body: f.body.raw}
	report, err := Diagnose(next)
	if err != nil || report.Accepted || len(report.Causes) == 0 {
		return
	}
	problem := fmt.Sprintf("once that is fixed, it would still not be published, %d %s: ", report.Status, report.Outcome)
	d.cause(proven(problem+report.Causes[0].Problem, report.Causes[0].Remedy))
}
