package cli

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/markdown"
)

var updateConfiguration = flag.Bool("update-configuration", false, "write the list in docs/configuration.md anew")

// The list in docs/configuration.md has the variables as `bridge config` prints them. `go generate
// ./...` writes it anew.
func TestConfigurationDocument(t *testing.T) {
	const (
		file  = "../../docs/configuration.md"
		begin = "<!-- configuration: go generate ./... -->\n"
		end   = "<!-- /configuration -->"
	)
	document, err := os.ReadFile(file)
	expect.NoError(t, err)
	// A checkout may have changed the line ends.
	text := strings.ReplaceAll(string(document), "\r\n", "\n")
	before, rest, found := strings.Cut(text, begin)
	got, after, ended := strings.Cut(rest, end)
	if !found || !ended || strings.Contains(after, begin) {
		t.Fatalf("%s must have one %s… %s", file, begin, end)
	}

	want := "\n" + markdownList(new(config.Config).Variables()) + "\n" // markdown ends a comment's block at an empty line
	if got == want {
		return
	}
	if !*updateConfiguration {
		t.Fatalf("docs/configuration.md has drifted from the code, run `go generate ./...` (-document +code):\n%s", cmp.Diff(strings.Split(got, "\n"), strings.Split(want, "\n")))
	}
	expect.NoError(t, os.WriteFile(file, []byte(before+begin+want+end+after), 0o644))
}

// markdownList has an item for each meaning. What a variable takes is shown only if no other takes
// the same: the document's introduction has the common kinds.
func markdownList(variables []config.Variable) string {
	var b strings.Builder
	taking := make(map[string]int)
	for _, v := range variables {
		taking[v.Type]++
	}
	for i, v := range variables {
		alike := func(other config.Variable) bool { return other.Doc == v.Doc }
		if slices.ContainsFunc(variables[:i], alike) {
			continue
		}
		var names []string
		for _, other := range variables {
			switch {
			case !alike(other):
			case other.Default == "the provider's":
				names = append(names, "`"+other.Name+"`")
			case strings.Contains(other.Default, " "):
				names = append(names, "`"+other.Name+"` ("+other.Default+")")
			default:
				names = append(names, "`"+strings.TrimSuffix(other.Name+"="+other.Default, "=")+"`")
			}
		}
		item := strings.Join(names, ", ") + ": " + v.Doc
		if len(names) == 1 && taking[v.Type] == 1 {
			item += " (" + v.Type + ")"
		}
		b.WriteString(markdown.Item(item))
	}
	return b.String()
}
