package cli

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/markdown"
)

// The list in docs/configuration.md has the variables as `bridge config` prints them.
func TestConfigurationDocument(t *testing.T) {
	markdown.Generated(t, "../../docs/configuration.md", func(text string) string {
		return markdown.Part(t, text, "configuration", markdownList(new(config.Config).Variables()))
	})
}

// The chart's schema takes each of the variables, and no others.
func TestChartSchema(t *testing.T) {
	var vendors, settings, further []string
	for _, p := range providers.All {
		vendors = append(vendors, `          "`+p.Name+`"`)
	}
	for _, v := range new(config.Config).Variables() {
		if name, ok := strings.CutPrefix(v.Name, "ENDPOINTS_<i>_"); ok {
			further = append(further, name)
		} else {
			settings = append(settings, `        "`+v.Name+`": {"$ref": "#/$defs/setting"}`)
		}
	}
	markdown.Generated(t, "../../deploy/helm/values.schema.json", func(text string) string {
		for pattern, made := range map[string]string{
			`(          "[a-z0-9-]+",?\n)+`:                 strings.Join(vendors, ",\n") + "\n",
			`(        "[A-Z_]+": \{.*defs/setting"\},?\n)+`: strings.Join(settings, ",\n") + "\n",
			`\(NAME\|[A-Z_|]+\)`:                            "(" + strings.Join(further, "|") + ")",
		} {
			re := regexp.MustCompile(pattern)
			expect.Equal(t, 1, len(re.FindAllString(text, -1)), "places for %s", pattern)
			text = re.ReplaceAllLiteralString(text, made)
		}
		return text
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
		if len(names) == 1 && taking[v.Type] == 1 && v.Type != v.Default && !strings.HasPrefix(v.Type, "the path of ") {
			item += " (" + v.Type + ")"
		}
		b.WriteString(markdown.Item(item))
	}
	return b.String()
}
