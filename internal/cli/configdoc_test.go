package cli

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/config"
)

var updateConfiguration = flag.Bool("update-configuration", false, "write the table of docs/configuration.md anew")

// The table of docs/configuration.md has the variables as `bridge config` prints them. `go generate
// ./...` writes it anew.
func TestConfigurationDocument(t *testing.T) {
	const (
		file  = "../../docs/configuration.md"
		begin = "<!-- configuration: go generate ./... -->\n"
		end   = "<!-- /configuration -->"
	)
	document, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// A checkout may have changed the line ends.
	text := strings.ReplaceAll(string(document), "\r\n", "\n")
	before, rest, found := strings.Cut(text, begin)
	got, after, ended := strings.Cut(rest, end)
	if !found || !ended || strings.Contains(after, begin) {
		t.Fatalf("%s must have one %s… %s", file, begin, end)
	}

	want := "\n" + markdownTable(new(config.Config).Variables()) + "\n" // markdown ends a comment's block, and begins a table's, at an empty line
	if got == want {
		return
	}
	if !*updateConfiguration {
		t.Fatalf("docs/configuration.md has drifted from the code, run `go generate ./...` (-document +code):\n%s", cmp.Diff(strings.Split(got, "\n"), strings.Split(want, "\n")))
	}
	if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func markdownTable(variables []config.Variable) string {
	var b strings.Builder
	b.WriteString("| variable | default | takes | meaning |\n|---|---|---|---|\n")
	for _, v := range variables {
		def := ""
		if v.Default != "" {
			def = "`" + v.Default + "`"
			if strings.Contains(v.Default, " ") {
				def = v.Default
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", v.Name, def, v.Type, strings.ReplaceAll(v.Doc, "|", "\\|"))
	}
	return b.String()
}
