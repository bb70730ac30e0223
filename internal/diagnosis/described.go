package diagnosis

import (
	"cmp"
	"regexp"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// isDescribed reports whether the endpoint's settings tell what is signed.
func (d *diagnoser) isDescribed() bool { return d.at.Provider.Explain != nil }

// examineSettings adds a step for each part of what the settings say is signed.
func (d *diagnoser) examineSettings() {
	d.settings = d.at.Provider.Explain(d.request())
	for _, text := range d.settings.Steps {
		d.step("signed", "%s", d.settingsNamed(text))
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
	c.Says, c.Do = d.settingsNamed(c.Says), d.settingsNamed(c.Do)
	return []Cause{c}
}

// named matches the settings' names.
var named = regexp.MustCompile(`\b(SIGNATURE_HEADER|SIGNATURE_FORMAT|SIGNED|TIMESTAMP_UNIT|TIMESTAMP|SECRET_ENCODING|EVENT)\b`)

// settingsNamed returns the text with the settings' names as those of the endpoint's variables.
func (d *diagnoser) settingsNamed(text string) string {
	return named.ReplaceAllString(text, cmp.Or(d.at.Prefix, "…_")+"$0")
}
