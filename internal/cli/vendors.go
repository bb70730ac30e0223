package cli

import (
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// example returns the text with SECRETS, ENDPOINT, EVENT, SCHEME and HEADER replaced by those of
// the first provider.
func example(text string) string {
	p := providers.All[0]
	return strings.NewReplacer(
		"SECRETS", p.Variable("SECRETS"), "ENDPOINT", p.Name, "EVENT", p.Events[0],
		"SCHEME", p.Schemes[len(p.Schemes)-1].Name, "HEADER", p.Header,
	).Replace(text)
}

// inWords formats a list for a sentence: a, b and c.
func inWords(list []string, conjunction string) string {
	if n := len(list) - 1; n > 0 {
		return strings.Join(list[:n], ", ") + " " + conjunction + " " + list[n]
	}
	return strings.Join(list, "")
}
