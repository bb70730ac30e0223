package diagnosis

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/ade15e70/webhook-bridge/internal/secret"
)

// key is a secret as it may be meant.
type key struct {
	secret.Secret
	at       Endpoint
	position int
	cost     int // how many assumptions it takes
	cause    Cause
}

// reading is another way to take a secret's text. take returns "" where that is none.
type reading struct {
	code, says, do string
	take           func(text string) string
}

// label is a name before a secret, as an env file or YAML has it.
var label = regexp.MustCompile(`^(?:export +)?[A-Za-z_][A-Za-z0-9_-]*(?:=|: +)`)

var takings = []reading{
	{"secret_quoted", "without the quotation marks around it", "take the marks away: an env file and a Kubernetes Secret keep them", func(s string) string { return strings.Trim(s, "\"'`‘’“”") }},
	{"secret_hex", "decoded from hex", "the vendor shows the key in hex; the bridge takes the key's bytes. Report it: there is no setting for that", decodedHex},
	{"secret_base64", "decoded from base64", "if it was encoded for a Kubernetes Secret, it was encoded once too often: `stringData` takes it as it is. Else the vendor shows the key in base64: report it, there is no setting for that", decodedBase64},
	{"secret_prefix", "without the prefix before its underscore, and decoded from base64", "the vendor's key is what follows the prefix: report it, there is no setting for that", func(s string) string { return decodedBase64(afterUnderscore(s)) }},
	{"secret_prefix", "without the prefix before its underscore", "set what follows the prefix", afterUnderscore},
	{"secret_label", "without the name before it", "the file takes secrets alone, one a line, and no assignments", func(s string) string { return label.ReplaceAllString(s, "") }},
	{"secret_escaped", "without the backslashes in it", "a shell or a file has kept a backslash before $ or !: quote the secret with ' and leave it as the vendor shows it", func(s string) string { return strings.ReplaceAll(s, `\`, "") }},
	{"secret_dollar", "with one $ where it has two", "only Compose files and Makefiles want $ doubled: write it once", func(s string) string { return strings.ReplaceAll(s, "$$", "$") }},
	{"secret_percent", "once its % escapes are undone", "set it as the vendor shows it", unescaped},
	{"secret_invisible", "without the white space and the characters in it that can't be seen", "copy it anew, by hand if need be", func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) || !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, s)
	}},
	{"secret_line_end", "with a line break behind it", setAnew, func(s string) string { return s + "\n" }},
	{"secret_line_end", "with a line break of Windows' behind it", setAnew, func(s string) string { return s + "\r\n" }},
	{"secret_line_end", "with a blank behind it", setAnew, func(s string) string { return s + " " }},
	{"secret_case", "in lower case", "copy it as it is: capitals count", strings.ToLower},
	{"secret_case", "in upper case", "copy it as it is: capitals count", strings.ToUpper},
}

const setAnew = "the vendor's own secret has one, or whoever told the vendor did: make a new secret"

// splits are the ways in which one text may be several secrets, or have one in it.
var splits = []struct {
	code, says, do string
	split          func(text string) []string
}{
	{"secret_list", "split at its commas", "the file takes one secret a line", func(s string) []string { return strings.Split(s, ",") }},
	{"secret_list", "split at its line breaks", "a variable takes secrets with commas between; only a file has one a line", func(s string) []string { return strings.Split(s, "\n") }},
	{"secret_list", "split at its blanks", "a variable takes secrets with commas between, and a file one a line", strings.Fields},
	{"secret_json", "taken out of the JSON around it", "variables and files take secrets alone, and no JSON: set the value, without its name and its quotation marks", jsonTexts},
}

func afterUnderscore(s string) string {
	_, rest, _ := strings.Cut(s, "_")
	return rest
}

// jsonTexts lists the texts in a JSON object, or in a line of one.
func jsonTexts(s string) (texts []string) {
	s = strings.TrimSuffix(strings.TrimSpace(s), ",")
	var object map[string]any
	if json.Unmarshal([]byte(s), &object) != nil && json.Unmarshal([]byte("{"+s+"}"), &object) != nil {
		return nil
	}
	for _, value := range object {
		switch v := value.(type) {
		case string:
			texts = append(texts, v)
		case []any:
			for _, element := range v {
				texts = append(texts, fmt.Sprint(element))
			}
		}
	}
	return texts
}

func decodedHex(s string) string {
	plain, err := hex.DecodeString(s)
	if err != nil {
		return ""
	}
	return string(plain)
}

func decodedBase64(s string) string {
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	plain, err := base64.RawStdEncoding.DecodeString(standard)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(plain), "\n")
}

// keys lists every secret of every endpoint, as it is and as it may be meant; those of the endpoint first.
func (d *diagnosing) keys() (all []key) {
	for _, e := range d.Endpoints {
		own := e.Name == d.at.Name
		var texts []string
		for i, s := range e.Secrets() {
			k := key{Secret: s, at: e, position: i}
			if !own {
				k.cost = 1
				k.cause = d.otherEndpoint(k)
			}
			all = append(all, k)
			text := string(s.Key())
			texts = append(texts, text)
			if own {
				all = append(all, meant(k, text)...)
			}
		}
		if own && len(texts) > 1 {
			all = append(all, joined(e, texts)...)
		}
	}
	return all
}

// otherEndpoint is why another endpoint's secret may be the right one.
func (d *diagnosing) otherEndpoint(k key) Cause {
	says := fmt.Sprintf("it is signed with secret %d of %s, which is endpoint %s's", k.position, k.at.SecretsFrom, k.at.Name)
	address := fmt.Sprintf("the vendor sends %s's deliveries to /webhooks/%s: correct the address there", k.at.Name, d.at.Name)
	exchange := fmt.Sprintf("%s and %s are mixed up here: exchange them", k.at.SecretsFrom, d.at.SecretsFrom)
	switch {
	case k.at.Provider.Name == d.at.Provider.Name:
		return Cause{"other_endpoint", true, says, address + "; or " + exchange}
	case d.judgedBy(k).Name == d.at.Name:
		return Cause{"secrets_exchanged", true, says + ", but the body is one of " + d.at.Provider.Name + "'s", exchange}
	}
	return Cause{"other_endpoint", true, says, address}
}

// maxParts is of how many secrets one text may be.
const maxParts = 8

// meant lists the other readings of a secret.
func meant(k key, text string) (all []key) {
	add := func(read, code, says, do string) {
		if read != "" && read != text {
			all = append(all, key{secret.New(read), k.at, k.position, 1, Cause{
				code, true, fmt.Sprintf("it is signed with secret %d of %s %s", k.position, k.at.SecretsFrom, says), do,
			}})
		}
	}
	for _, t := range takings {
		add(t.take(text), t.code, t.says, t.do)
	}
	for _, s := range splits {
		if parts := s.split(text); len(parts) <= maxParts {
			for _, part := range parts {
				add(strings.TrimSpace(part), s.code, s.says, s.do)
			}
		}
	}
	return all
}

// joined has one secret of which commas have made several.
func joined(e Endpoint, texts []string) []key {
	do := "a comma parts secrets in a variable: put this one into a file, a line of its own, and set " + e.Prefix + "SECRETS_FILE"
	return []key{{secret.New(strings.Join(texts, ",")), e, 0, 1, Cause{
		"secret_comma", true, "it is signed with all of " + e.SecretsFrom + " as one secret, commas included", do,
	}}}
}

// oddities returns what is strange about the endpoint's secrets, without revealing any of them.
func (d *diagnosing) oddities() (all []Cause) {
	for i, s := range d.at.Secrets() {
		if doubt := s.Doubt(); doubt != "" {
			all = append(all, Cause{"secret_odd", false, fmt.Sprintf("secret %d of %s %s", i, d.at.SecretsFrom, doubt), "look how it got there, and set it as the vendor shows it"})
		}
	}
	return all
}
