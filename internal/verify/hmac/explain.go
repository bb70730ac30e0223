package hmac

import (
	"cmp"
	"fmt"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// explain lists the parts of the signed text with their lengths, and those that are missing or occur
// more than once. It never shows a part itself.
func (s *scheme) explain(r verify.Request) (parts, missing []string) {
	_, _ = s.MACs(&r, nil) // sets the time in the signature's header
	d := delivery{scheme: s, r: &r}
	for _, p := range s.signed {
		name, value := p.text, ""
		switch p.kind {
		case literal:
			continue
		case body:
			name, value = "the body", string(r.Raw)
		case header:
			value = d.at(p)
		case timestamp:
			name, value = cmp.Or(s.time.text, "the timestamp"), d.stamp()
		}
		parts = append(parts, fmt.Sprintf("%s has %d bytes", name, len(value)))
		if value == "" {
			missing = append(missing, name)
		}
	}
	return parts, missing
}
