package diagnosis

import (
	"cmp"
	"errors"
	"net/http"
	"regexp"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// examineDescribed judges a delivery to an endpoint whose settings say what is signed: the provider
// knows best what would have to be otherwise.
func (d *diagnosing) examineDescribed() {
	header := make(http.Header)
	for _, f := range d.Delivery.Header {
		header.Add(f.Name, f.Value)
	}
	p := d.at.Provider
	text, err := p.Parse(header, d.Delivery.Body)
	switch {
	case err != nil:
		d.step("body", "%d bytes: %v", len(d.Delivery.Body), err)
	case !text.IsObject():
		d.step("body", "%d bytes of JSON, but not an object", len(d.Delivery.Body))
	default:
		d.step("body", "%d bytes, one JSON object", len(d.Delivery.Body))
	}
	received := d.Received
	if received.IsZero() {
		received = d.Now
	}
	steps, causes := p.Explain(d.at.Request(header, d.Delivery.Body, text, received))
	for _, says := range steps {
		d.step("signed", "%s", d.settingsNamed(says))
	}
	answer := d.examineAnswer()
	ofRequest := d.report.Causes
	isAuthentic := verify.IsAuthentic(answer.err) || answer.claims.Scheme != ""
	if isAuthentic {
		d.examineClaims(answer)
	}
	if d.report.Accepted {
		return
	}
	var found []Cause
	for _, c := range causes {
		found = append(found, Cause{c.Code, c.Proven, d.settingsNamed(c.Says), d.settingsNamed(c.Do)})
	}
	switch {
	case len(found) > 0: // better than what is usual
		d.report.Causes = append(ofRequest, found...)
	case isAuthentic || len(d.report.Causes) > 0:
	case err != nil:
		d.cause(Cause{"not_json", true, "the body is " + err.Error(), "the capture has not all of it, or a proxy has changed it: compare its length with Content-Length"})
	case errors.Is(answer.err, verify.NoSignature):
		d.cause(d.noSignature())
	case errors.Is(answer.err, verify.ManySignatures), errors.Is(answer.err, verify.MalformedSignature):
		d.cause(Cause{"signature_malformed", true, answer.err.Error() + ", and as far as it can be read it isn't right", d.settingsNamed("compare the header with SIGNATURE_FORMAT, and with what the vendor's side logs")})
	default:
		d.cause(Cause{
			"secret", false, "no secret in " + d.at.SecretsFrom + " made this signature, over anything that vendors sign",
			"compare " + d.at.SecretsFrom + " with the secret that the vendor shows for this address now, and " + d.settingsNamed("SIGNED with the vendor's page. ") +
				"`bridge send " + d.at.Name + " --url` with the public address shows whether a proxy changes bodies: 200 means that it doesn't",
		})
	}
}

// named matches the settings' names.
var named = regexp.MustCompile(`\b(SIGNATURE_HEADER|SIGNATURE_FORMAT|SIGNED|TIMESTAMP_UNIT|TIMESTAMP|SECRET_ENCODING|EVENT)\b`)

// settingsNamed writes the settings' names as the endpoint's variables are called.
func (d *diagnosing) settingsNamed(text string) string {
	return named.ReplaceAllString(text, cmp.Or(d.at.Prefix, "…_")+"$0")
}
