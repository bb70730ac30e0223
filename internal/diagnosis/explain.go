package diagnosis

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// explain adds the causes for which a delivery isn't authentic.
func (d *diagnoser) explain(refusal error) {
	if f, ok := d.search(); ok && len(f.causes) > 0 {
		d.cause(f.causes...)
		d.nextCause(f)
	}
	var missing []string // of the parts of the signed text
	if d.hasSettings() {
		_, missing = d.endpoint.Provider.Explain(d.toVerify())
	}
	at := d.endpoint.Provider.Signature
	switch {
	case len(d.body.raw) == 0:
		d.cause(proven("there is no body", "curl -v shows none: put it below curl's output, or give it with --body"))
	case len(d.report.Causes) > 0:
	case d.body.text == nil:
		d.cause(proven("the body can't be read: "+d.body.err.Error(),
			"capture it as it was sent, byte for byte. If it comes like this, something on the way has cut or changed it: "+
				"compare its length with Content-Length"))
	case len(missing) > 0 && d.hasHeader:
		d.cause(proven("of the parts in "+d.endpoint.Prefix+"SIGNED, these are missing or there more than once: "+strings.Join(missing, ", "),
			"if the capture is complete, a proxy drops or repeats it: have it pass on the vendor's header, once"))
	case errors.Is(refusal, verify.NoSignature) && d.hasHeader:
		problem := at.Header + " is empty"
		if at.Format.TimePrefix != "" {
			problem = at.Header + " has no time, or more than one; " + d.endpoint.Prefix + "SIGNATURE_FORMAT is " + d.endpoint.Provider.Settings.SignatureFormat
		}
		d.cause(proven(problem, "compare it with the vendor's log: a proxy may have changed or cut it"))
	case errors.Is(refusal, verify.NoSignature):
		d.cause(proven("there is no "+at.Header,
			"if the capture is whole, a proxy drops it, or the sender isn't the vendor: a few such requests are normal on the internet. "+
				"If only the body was captured, give the header with -H"))
	case errors.Is(refusal, verify.ManySignatures):
		d.cause(proven(refusal.Error(), "find what adds a second one, and have it pass on the vendor's alone"))
	case errors.Is(refusal, verify.MalformedSignature):
		d.cause(proven("the signature isn't in the form that the vendor documents, and no part of it is right",
			"compare it with the vendor's log: a proxy may have changed or cut it. "+
				"The shorter signatures in the vendor's documentation are made up"))
	case errors.Is(refusal, verify.UnsignableDataShape):
		signed := strings.Join(d.endpoint.Provider.Scheme(d.endpoint.Scheme).Members, "")
		d.cause(proven(signed+" is missing or empty, and nothing else is signed: such a delivery, usually a dashboard's test, "+
			"can't be verified under scheme "+d.endpoint.Scheme, "cause a real event at the vendor and capture that"))
	default:
		d.wrongSignature()
	}
}

// wrongSignature adds the likely causes of a wrong signature that the search doesn't explain.
func (d *diagnoser) wrongSignature() {
	for i, s := range d.endpoint.Secrets() {
		if doubt := secret.New(d.encoded(string(s.Key()))[0]).Doubt(); doubt != "" {
			d.cause(likely(fmt.Sprintf("secret %d of %s %s", i, d.endpoint.SecretsFrom, doubt),
				"check how it got there, and set it as the vendor shows it"))
		}
	}
	compare := d.endpoint.SecretsFrom + " with the secret"
	if d.hasSettings() {
		compare += ", and " + d.endpoint.Prefix + "SIGNED with the text,"
	}
	d.cause(likely(
		"no secret in "+d.endpoint.SecretsFrom+" or of another endpoint made this signature; "+
			"other forms of the secrets and of the body were tried, too",
		"compare "+compare+" that the vendor's page shows for this address now. Set the old and the new secret while in doubt, "+
			"the new one first. `bridge send "+d.endpoint.Name+" --url` with the public address shows whether a proxy changes bodies: "+
			"200 means that it doesn't",
	))
}

// found is a combination that makes a signature right, with its causes.
type found struct {
	key    key
	body   body
	text   signedText
	causes []Cause // the differences from what the bridge expects
}

const (
	// maxCauses is the most causes that a combination may have, besides the signature's own.
	maxCauses = 2
	// maxWork bounds a search, in bytes to hash; each MAC counts as workPerMAC more.
	maxWork    = 1 << 30
	workPerMAC = 256
)

// search finds the secret, body and signed text with which a signature is right, with the fewest causes.
func (d *diagnoser) search() (found, bool) {
	keys, work := d.keys(), 0
	var all []found // the keys follow
	for _, body := range d.bodies() {
		for _, text := range d.texts(body) {
			all = append(all, found{body: body, text: text})
		}
	}
	for limit := range maxCauses + 1 {
		for _, f := range all {
			for _, f.key = range keys {
				f.causes = slices.Concat(f.key.causes, f.body.causes, f.text.causes, d.unexpected(f.text, f.key.endpoint))
				if len(f.causes) != limit {
					continue
				}
				if work += len(f.body.raw) + workPerMAC; work > maxWork {
					d.step("note", "the body is large, or there are many secrets: not everything was tried")
					return found{}, false
				}
				var mac verify.MAC = f.key.MAC(f.text.parts...)
				if causes, ok := d.signatures[mac]; ok {
					if f.key.endpoint.Name == d.endpoint.Name { // else the other endpoint looks in its own places
						f.causes = slices.Concat(causes, f.causes)
					}
					return f, true
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

// nextCause adds the cause that remains after those of f are mended.
func (d *diagnoser) nextCause(f found) {
	e := d.endpoint
	if f.key.endpoint.Name != e.Name || !e.knows(f.text.scheme) {
		return
	}
	e.Scheme, e.Secrets = f.text.scheme, func() []secret.Secret { return []secret.Secret{f.key.Secret} }
	next := d.Case
	next.Endpoints, next.EndpointName = []Endpoint{e}, e.Name
	signature := e.Provider.Signature.Format.Write(f.key.MAC(f.text.parts...), "")
	next.Delivery = Delivery{Header: []Field{{e.Provider.Signature.Header, signature}}, Body: f.body.raw}
	if report, _ := Diagnose(next); !report.Accepted { // no error: next names the endpoint
		problem := fmt.Sprintf("once that is fixed, it would still not be published, %d %s: ", report.Status, report.Outcome)
		d.cause(proven(problem+report.Causes[0].Problem, report.Causes[0].Remedy))
	}
}
