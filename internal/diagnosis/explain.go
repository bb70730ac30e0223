package diagnosis

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// explain adds the causes why a delivery isn't authentic.
func (d *diagnoser) explain(refusal error) {
	if f, ok := d.search(); ok && len(f.causes) > 0 {
		d.cause(f.causes...)
		d.nextCause(f)
	}
	problem, remedy := "", ""
	var missing []string // of the parts of the signed text
	if d.isDescribed() {
		_, missing = d.endpoint.Provider.Explain(d.toVerify())
	}
	switch {
	case len(d.body.raw) == 0:
		problem, remedy = "there is no body", "curl -v shows none: put it below curl's output, or give it with --body"
	case len(d.report.Causes) > 0:
	case d.body.text == nil:
		problem = "the body can't be read: " + d.body.err.Error()
		remedy = "capture it as it was sent, byte for byte. If it comes like this, something on the way has cut or changed it: " +
			"compare its length with Content-Length"
	case len(missing) > 0 && d.hasHeader:
		problem = "of the parts in " + d.endpoint.Prefix + "SIGNED, these are missing or there more than once: " + strings.Join(missing, ", ")
		remedy = "if the capture is complete, a proxy drops or repeats it: have it pass on the vendor's header, once"
	case errors.Is(refusal, verify.NoSignature) && d.hasHeader:
		at := d.endpoint.Provider.Signature
		problem, remedy = at.Header+" is empty", "compare it with the vendor's log: a proxy may have changed or cut it"
		if at.Format.TimePrefix != "" {
			problem = at.Header + " has no time, or more than one; " + d.endpoint.Prefix + "SIGNATURE_FORMAT is " + d.endpoint.Provider.Settings.SignatureFormat
		}
	case errors.Is(refusal, verify.NoSignature):
		problem = "there is no " + d.endpoint.Provider.Signature.Header
		remedy = "if the capture is whole, a proxy drops it, or the sender isn't the vendor: a few such requests are normal on the internet. " +
			"If only the body was captured, give the header with -H"
	case errors.Is(refusal, verify.ManySignatures):
		problem, remedy = refusal.Error(), "find what adds the other, and have it pass on the vendor's alone"
	case errors.Is(refusal, verify.MalformedSignature):
		problem = "the signature isn't in the form that the vendor documents, and no part of it is right"
		remedy = "compare it with the vendor's log: a proxy may have changed or cut it. " +
			"The shorter signatures in the vendor's documentation are made up"
	case errors.Is(refusal, verify.UnsignableDataShape):
		signed := strings.Join(d.endpoint.Provider.Scheme(d.endpoint.Scheme).Members, "")
		problem = signed + " is missing or empty, and nothing else is signed: such a delivery, usually a dashboard's test, " +
			"can't be verified under scheme " + d.endpoint.Scheme
		remedy = "cause a real event at the vendor and capture that"
	default:
		d.wrongSignature()
	}
	if problem != "" {
		d.cause(proven(problem, remedy))
	}
}

// wrongSignature adds the usual causes of a wrong signature that the search doesn't explain.
func (d *diagnoser) wrongSignature() {
	for i, s := range d.endpoint.Secrets() {
		if doubt := secret.New(d.asSet(string(s.Key()))[0]).Doubt(); doubt != "" {
			d.cause(likely(fmt.Sprintf("secret %d of %s %s", i, d.endpoint.SecretsFrom, doubt),
				"check how it got there, and set it as the vendor shows it"))
		}
	}
	compare := d.endpoint.SecretsFrom + " with the secret"
	if d.isDescribed() {
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
