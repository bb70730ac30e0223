package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/diagnosis"
)

// printReport prints a diagnosis for people: the steps, a line each, then the causes and what to
// do.
func printReport(w io.Writer, r diagnosis.Report) error {
	var b strings.Builder
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "%-10s %s\n", s.Name, s.Says)
	}
	for _, c := range r.Causes {
		name := "why"
		if !c.Proven {
			name = "perhaps"
		}
		fmt.Fprintf(&b, "\n%-10s %s\n%-10s %s\n", name, c.Says, "do", c.Do)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
