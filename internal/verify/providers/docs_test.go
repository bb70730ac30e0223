package providers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/hmac"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/markdown"
)

// texts are what the documents say about a vendor, in Markdown: docs.json in its folder.
type texts struct {
	Site     string // its home page
	About    string // facts about it
	Register string // where its dashboard takes the endpoint's URL
	SecretAt string // where its dashboard shows the secret

	Entity, EntityID, UserID, Time string // the sources of the envelope's attributes
}

// readTexts reads a folder's docs.json.
func readTexts[T any](t *testing.T, folder string) (all T) {
	t.Helper()
	content, err := os.ReadFile("../" + folder + "/docs.json")
	expect.NoError(t, err)
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	expect.NoErrorf(t, decoder.Decode(&all), "%s", folder)
	return all
}

// The documents' parts about the vendors are made from the providers and their texts.
func TestDocuments(t *testing.T) {
	docs := make(map[string]texts)
	for _, p := range providers.All {
		docs[p.Name] = readTexts[texts](t, p.Name)
		for field, text := range reflect.ValueOf(docs[p.Name]).Fields() {
			if text.IsZero() {
				t.Errorf("%s: docs.json has no %s", p.Name, field.Name)
			}
		}
	}
	markdown.Generated(t, "../../../README.md", func(text string) string { return markdown.Part(t, text, "vendors", registering(docs)) })
	markdown.Generated(t, "../../../docs/providers.md", func(text string) string {
		return markdown.Part(t, markdown.Part(t, text, "vendors", all(docs)), "presets", presets(t))
	})
	markdown.Generated(t, "../../../docs/event.schema.json", func(text string) string { return schema(t, text, docs) })
}

func registering(docs map[string]texts) string {
	var out string
	for _, p := range providers.All {
		out += markdown.Item(fmt.Sprintf("**%s**: `https://hooks.example.com/webhooks/%s` in %s; the secret, for `%s`, is %s",
			p.Title, p.Name, docs[p.Name].Register, p.Variable("SECRETS"), docs[p.Name].SecretAt))
	}
	return out
}

// signs describes what a scheme signs.
func signs(p *verify.Provider, s verify.Scheme) string {
	switch {
	case len(s.Members) > 0:
		return "signs the body's `" + strings.Join(s.Members, "` and `") + "`"
	case p.Signature.Member != "":
		return "signs the whole body, for a signature in the header"
	}
	return "signs the whole body"
}

// presets lists the providers that settings describe.
func presets(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	docs := readTexts[map[string]texts](t, "hmac")
	for i, p := range providers.Presets {
		if i > 0 {
			out.WriteByte('\n')
		}
		about := docs[p.Name].About
		if about == "" {
			t.Errorf("docs.json says nothing about %s", p.Name)
		}
		if p.Source != "" {
			about += " Register " + docs[p.Name].Register + ". [Source](" + p.Source + ")."
		}
		if configured, problems := p.Configure("example", verify.Settings{}); problems == nil {
			about += " Scheme `" + configured.Signature.Schemes[0].Name + "`."
		}
		fmt.Fprintf(&out, "### `%s`: %s\n\n%s", p.Name, p.Title, markdown.Wrap(about, ""))
		var settings strings.Builder
		for _, s := range p.Settings.List() {
			if s.Value != "" {
				fmt.Fprintf(&settings, "    %s=%s\n", s.Variable, s.Value)
			}
		}
		if p.Source != "" {
			fmt.Fprintf(&out, "\n%s", settings.String())
		}
	}
	return out.String()
}

func all(docs map[string]texts) string {
	var out strings.Builder
	for i, p := range providers.All {
		if i > 0 {
			out.WriteByte('\n')
		}
		fmt.Fprintf(&out, "## %s\n\n%s\n", p.Title, markdown.Wrap("["+p.Title+"]("+docs[p.Name].Site+"): "+docs[p.Name].About, ""))
		item := func(format string, args ...any) {
			out.WriteString(markdown.Item(fmt.Sprintf(format, args...)))
		}
		where := "the header `" + p.Signature.Header + "`"
		if p.Signature.Format.Prefix != "" {
			where += " after `" + p.Signature.Format.Prefix + "`"
		}
		if p.Signature.Member != "" {
			where += " or the body's `" + p.Signature.Member + "`"
		}
		var encodings, schemes []string
		for _, e := range p.Signature.Format.Encodings {
			encodings = append(encodings, string(e))
		}
		for _, s := range p.Signature.Schemes {
			schemes = append(schemes, "`"+s.Name+"` "+signs(p, s))
		}
		item("**signature**: HMAC-SHA256 in %s, in %s", strings.Join(encodings, " or "), where)
		item("**`%s`**, by default `%s`: %s", p.Variable("SIGNATURE"), p.Signatures()[0], strings.Join(schemes, "; "))
		ahead := "as far ahead"
		if p.Time.Ahead > 0 {
			ahead = "up to `" + config.FormatDuration(p.Time.Ahead) + "` ahead"
		}
		item("**`%s`**, by default `%s`: how old a delivery may be; its time may be %s", p.Variable("TOLERANCE"), config.FormatDuration(p.Time.Tolerance), ahead)
		if p.Time.SignedMember != "" {
			item("**`%s`**, by default `%s`: `%s` must be recent too", p.Variable("FRESHNESS"), p.Time.Freshness()[0], p.Time.SignedMember)
		}
		item("**attributes**: `type` is `%s` and the event's name; `entity` is %s; `entityid` is %s; `userid` is %s; `time` is %s",
			p.TypePrefix, docs[p.Name].Entity, docs[p.Name].EntityID, docs[p.Name].UserID, docs[p.Name].Time)
		item("**known events**: `%s`", strings.Join(p.Events, "`, `"))
	}
	return out.String()
}

// schema returns the event's schema with the parts that depend on the vendors.
func schema(t *testing.T, text string, docs map[string]texts) string {
	t.Helper()
	replace := func(pattern, with string) {
		t.Helper()
		re := regexp.MustCompile(pattern)
		if len(re.FindAllString(text, -1)) != 1 {
			t.Fatalf("the schema must have one %s", pattern)
		}
		text = re.ReplaceAllLiteralString(text, with)
	}
	property := func(name, keyword, pattern, with string) {
		t.Helper()
		begin := fmt.Sprintf("    %q: {\n", name)
		before, after, found := strings.Cut(text, begin)
		re := regexp.MustCompile(`(?m)^      "` + keyword + `": ` + pattern)
		at := re.FindStringIndex(after)
		if !found || at == nil {
			t.Fatalf("the schema has no %s with %s", name, keyword)
		}
		text = before + begin + after[:at[0]] + `      "` + keyword + `": ` + with + after[at[1]:]
	}
	var names, prefixes, signed, entity, entityID, userID, times, covers, conditions []string
	for _, p := range providers.All {
		names, prefixes = append(names, p.Name), append(prefixes, regexp.QuoteMeta(p.TypePrefix))
		say := func(list *[]string, what string) {
			*list = append(*list, p.Title+": "+strings.ReplaceAll(what, "`", "")+".")
		}
		say(&entity, docs[p.Name].Entity)
		say(&entityID, docs[p.Name].EntityID)
		say(&userID, docs[p.Name].UserID)
		say(&times, docs[p.Name].Time)
		for _, s := range p.Signature.Schemes {
			if !slices.Contains(signed, s.Name) {
				signed = append(signed, s.Name)
			}
			if len(s.Members) > 0 {
				covers = append(covers, fmt.Sprintf("%s: %s's %s.", s.Name, p.Title, strings.Join(s.Members, " and ")))
			}
		}
		conditions = append(conditions, fmt.Sprintf(`    {
      "if": { "properties": { "provider": { "const": %s } } },
      "then": { "properties": { "type": { "pattern": %s }, "signed": { "enum": %s } } }
    },
`, encode(p.Name), encode("^"+regexp.QuoteMeta(p.TypePrefix)), encode(p.SchemeNames())))
	}
	// Of those that settings describe each endpoint has a prefix of its own.
	prefixes = append(prefixes, `([A-Za-z0-9][A-Za-z0-9-]*\.)+`)
	for _, p := range providers.Presets {
		names = append(names, p.Name)
		conditions = append(conditions, fmt.Sprintf(`    {
      "if": { "properties": { "provider": { "const": %s } } },
      "then": { "properties": { "signed": { "enum": %s } } }
    },
`, encode(p.Name), encode([]string{verify.Payload, hmac.Body})))
	}
	signed = append(signed, hmac.Body)
	covers = append(covers, hmac.Body+": the whole body, but no time (other providers).")
	say := func(list *[]string, setting string) {
		*list = append(*list, "Other providers: what the endpoint's "+setting+" names.")
	}
	say(&userID, "USER")
	say(&times, "TIMESTAMP")
	const quoted, list = `"(?:[^"\\]|\\.)*"`, `\[.*\]`
	property("type", "pattern", quoted, encode("^("+strings.Join(prefixes, "|")+")"))
	property("time", "description", quoted, encode("When it happened, as the vendor says. "+strings.Join(times, " ")))
	property("provider", "enum", list, encode(names))
	property("entity", "description", quoted, encode("The kind of thing it is about. "+strings.Join(entity, " ")))
	property("entityid", "description", quoted, encode("That thing's id. "+strings.Join(entityID, " ")))
	property("userid", "description", quoted, encode("Your own id of the person it is about. "+strings.Join(userID, " ")+" Always text, also if the vendor sent a number."))
	property("signed", "description", quoted, encode("What the vendor's signature covers. payload: the whole body. "+strings.Join(covers, " ")+
		" An attacker who has the delivery can change the rest."))
	property("signed", "enum", list, encode(signed))
	replace(`(?:    \{\n      "if": \{ "properties": \{ "provider": .*\n.*\n    \},\n)+`, strings.Join(conditions, ""))
	return text
}

// encode writes JSON in one line, as the schema has it.
func encode(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // of this test
	}
	return strings.ReplaceAll(strings.TrimSpace(out.String()), `","`, `", "`)
}
