package diagnosis

import (
	"cmp"
	"regexp"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// isDescribed reports whether settings describe what is signed.
func (d *diagnoser) isDescribed() bool { return d.endpoint.Provider.Explain != nil }

// examineSettings adds a step for each part of the text that is signed according to the settings.
func (d *diagnoser) examineSettings() {
	d.settings = d.endpoint.Provider.Explain(d.toVerify())
	for _, text := range d.settings.Steps {
		d.step("signed", "%s", d.prefixed(text))
	}
	for i, c := range d.settings.Causes {
		d.settings.Causes[i] = d.causesOf(c)[0]
	}
	for _, g := range d.settings.Signatures {
		d.signatures = append(d.signatures, signature{mac: g.Value[:], causes: d.causesOf(g.Cause)})
	}
}

// causesOf returns the cause of a guess, if it has one.
func (d *diagnoser) causesOf(c verify.Finding) []Cause {
	if c.Code == "" {
		return nil
	}
	c.Says, c.Do = d.prefixed(c.Says), d.prefixed(c.Do)
	return []Cause{c}
}

// settingNames matches the names of the settings.
var settingNames = regexp.MustCompile(`\b(SIGNATURE_HEADER|SIGNATURE_FORMAT|SIGNED|TIMESTAMP_UNIT|TIMESTAMP|SECRET_ENCODING|EVENT)\b`)

// prefixed returns the text with each setting's name replaced by the endpoint's variable.
func (d *diagnoser) prefixed(text string) string {
	return settingNames.ReplaceAllString(text, cmp.Or(d.endpoint.Prefix, "…_")+"$0")
}
