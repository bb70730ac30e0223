package diagnosis

import (
	"cmp"
	"errors"
	"net/http"
	"regexp"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// examineDescribed examines a delivery to an endpoint whose settings tell what is signed. Its
// provider explains the signature itself.
func (d *diagnoser) examineDescribed() {
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
	for _, text := range steps {
		d.step("signed", "%s", d.settingsNamed(text))
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
	for i := range causes {
		c := &causes[i]
		c.Says, c.Do = d.settingsNamed(c.Says), d.settingsNamed(c.Do)
	}
	switch {
	case len(causes) > 0: // they tell more than those of the time
		d.report.Causes = append(ofRequest, causes...)
	case isAuthentic || len(d.report.Causes) > 0:
	case err != nil:
		d.cause(proven("not_json", "the body is "+err.Error(), "the capture is incomplete, or a proxy has changed the body: compare its length with Content-Length"))
	case errors.Is(answer.err, verify.NoSignature):
		d.cause(d.noSignature())
	case errors.Is(answer.err, verify.ManySignatures), errors.Is(answer.err, verify.MalformedSignature):
		d.cause(proven("signature_malformed", answer.err.Error()+", and as far as it can be read it isn't right", d.settingsNamed("compare the header with SIGNATURE_FORMAT, and with what the vendor's side logs")))
	default:
		d.cause(likely(
			"secret", "no secret in "+d.at.SecretsFrom+" made this signature, over anything that vendors sign",
			"compare "+d.at.SecretsFrom+" with the secret that the vendor shows for this address now, and "+d.settingsNamed("SIGNED with the vendor's page. ")+
				"`bridge send "+d.at.Name+" --url` with the public address shows whether a proxy changes bodies: 200 means that it doesn't",
		))
	}
}

// named matches the settings' names.
var named = regexp.MustCompile(`\b(SIGNATURE_HEADER|SIGNATURE_FORMAT|SIGNED|TIMESTAMP_UNIT|TIMESTAMP|SECRET_ENCODING|EVENT)\b`)

// settingsNamed returns the text with the settings' names as those of the endpoint's variables.
func (d *diagnoser) settingsNamed(text string) string {
	return named.ReplaceAllString(text, cmp.Or(d.at.Prefix, "…_")+"$0")
}
