package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/test/markdown"
)

// The list in docs/configuration.md has the variables as `bridge config` prints them.
func TestConfigurationDocument(t *testing.T) {
	markdown.Generated(t, "../../docs/configuration.md", func(text string) string {
		return markdown.Part(t, text, "configuration", markdownList(new(config.Config).Variables()))
	})
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
		if len(names) == 1 && taking[v.Type] == 1 && v.Type != "one of "+v.Default {
			item += " (" + v.Type + ")"
		}
		b.WriteString(markdown.Item(item))
	}
	return b.String()
}
