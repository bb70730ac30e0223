package diagnosis

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/ade15e70/webhook-bridge/internal/secret"
)

// key is a secret as it is set, or as it may have been meant.
type key struct {
	secret.Secret
	name     string
	endpoint Endpoint // that the delivery is for, if the secret is right
	causes   []Cause  // of the difference from the secret that is set
}

// label matches a name before a secret, as in an env file or YAML.
var label = regexp.MustCompile(`^(?:export +)?[A-Za-z_][A-Za-z0-9_-]*(?:=|: +)`)

var secretReadings = []reading{
	{"secret_quoted", "without the quotation marks around it", "remove the marks: env files and Kubernetes Secrets keep them", one(func(s string) string { return strings.Trim(s, "\"'`‘’“”") })},
	{"secret_hex", "decoded from hex", "the vendor shows the key in hex, and the bridge has no setting for that: report it", one(decodedHex)},
	{"secret_base64", "decoded from base64", "if it was encoded for a Kubernetes Secret, it was encoded once too often: `stringData` takes it as it is. Else the vendor shows the key in base64, and the bridge has no setting for that: report it", one(decodedBase64)},
	{"secret_prefix", "without the prefix before its underscore, and decoded from base64", "the vendor's key is what follows the prefix, and the bridge has no setting for that: report it", one(func(s string) string { return decodedBase64(afterUnderscore(s)) })},
	{"secret_prefix", "without the prefix before its underscore", "set what follows the prefix", one(afterUnderscore)},
	{"secret_label", "without the name before it", "the file takes one secret a line, without names", one(func(s string) string { return label.ReplaceAllString(s, "") })},
	{"secret_escaped", "without the backslashes in it", "a shell or a file has kept a backslash before $ or !: quote the secret with ' and leave it as the vendor shows it", one(func(s string) string { return strings.ReplaceAll(s, `\`, "") })},
	{"secret_dollar", "with one $ where it has two", "only Compose files and Makefiles want $ doubled: write it once", one(func(s string) string { return strings.ReplaceAll(s, "$$", "$") })},
	{"secret_percent", "once its % escapes are undone", "set it as the vendor shows it", one(unescaped)},
	{"secret_invisible", "without the white space and the characters in it that can't be seen", "copy it anew, by hand if need be", one(visible)},
	{"secret_line_end", "with a line break or a blank after it", "the secret at the vendor ends with one: create a new secret there", func(s string) []string { return []string{s + "\n", s + "\r\n", s + " "} }},
	{"secret_case", "in lower or in upper case", "copy it as it is: capitals count", func(s string) []string { return []string{strings.ToLower(s), strings.ToUpper(s)} }},
	{"secret_list", "split at its commas, blanks and line breaks", "separate secrets by commas in a variable, and by line breaks in a file", func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	}},
	{"secret_json", "taken out of the JSON around it", "variables and files take secrets alone, and no JSON: set the value, without its name and its quotation marks", jsonTexts},
}

func afterUnderscore(s string) string {
	_, rest, _ := strings.Cut(s, "_")
	return rest
}

func decodedHex(s string) string { return textOf(hex.DecodeString(s)) }

func decodedBase64(s string) string { return strings.TrimSuffix(textOf(decodeBase64(s)), "\n") }

// textOf returns what was decoded; "" if there is an error, for it would be only a part.
func textOf(plain []byte, err error) string {
	if err != nil {
		return ""
	}
	return string(plain)
}

func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// jsonTexts returns the strings in a JSON object, or in a line of one.
func jsonTexts(s string) (texts []string) {
	if s = strings.TrimSpace(s); !strings.HasPrefix(s, "{") {
		s = "{" + s + "}"
	}
	tokens := json.NewDecoder(strings.NewReader(s))
	for {
		token, err := tokens.Token()
		if err != nil {
			return texts
		}
		if text, ok := token.(string); ok {
			texts = append(texts, text)
		}
	}
}

// keys returns the secrets of all endpoints, and other readings of those of the endpoint.
func (d *diagnoser) keys() (all []key) {
	shape := shapeOf(d.Delivery.Body)
	for _, e := range d.Endpoints {
		var texts []string
		for i, s := range e.Secrets() {
			k := key{Secret: s, name: fmt.Sprintf("secret %d of %s", i, e.SecretsFrom), endpoint: e}
			if e.Name != d.endpoint.Name {
				all = append(all, d.otherEndpoint(k, shape))
				continue
			}
			texts = append(texts, string(s.Key()))
			all = append(append(all, k), d.readings(k)...)
		}
		if len(texts) > 1 { // they may be one secret that has commas
			all = append(all, key{secret.New(strings.Join(texts, ",")), "all of " + e.SecretsFrom, e, []Cause{proven(
				"secret_comma", "it is signed with all of "+e.SecretsFrom+" as one secret, commas included",
				"a comma separates secrets in a variable: put this one into a file, on a line of its own, and set "+e.Prefix+"SECRETS_FILE",
			)}})
		}
	}
	return all
}

// otherEndpoint returns another endpoint's secret with its cause. If that endpoint is for another
// vendor, the shape of the body tells whether the address or the secret is wrong.
func (d *diagnoser) otherEndpoint(k key, shape string) key {
	from := k.endpoint
	code, says := "other_endpoint", fmt.Sprintf("it is signed with %s, which belongs to endpoint %s", k.name, from.Name)
	address := fmt.Sprintf("the vendor sends %s's deliveries to /webhooks/%s: correct the address there", from.Name, d.endpoint.Name)
	exchange := fmt.Sprintf("%s and %s are mixed up here: exchange them", from.SecretsFrom, d.endpoint.SecretsFrom)
	do := address
	switch name := d.endpoint.Provider.Name; {
	case from.Provider.Name == name:
		do = address + "; or " + exchange
	case shape == name:
		k.endpoint = d.endpoint
		code, says, do = "secrets_exchanged", says+", but the body is one of "+name+"'s", exchange
	}
	k.causes = []Cause{proven(code, says, do)}
	return k
}

func (d *diagnoser) readings(k key) (all []key) {
	add := func(other secret.Secret, c Cause) {
		c.Says = "it is signed with " + k.name + " " + c.Says
		all = append(all, key{other, k.name, k.endpoint, []Cause{c}})
	}
	if d.isDescribed() {
		for _, g := range d.settings.Keys(k.Secret) {
			add(g.Value, d.causesOf(g.Cause)[0])
		}
	}
	for other, c := range otherTexts(secretReadings, string(k.Key())) {
		add(secret.New(other), c)
	}
	return all
}

// suspectSecrets returns a cause for each of the endpoint's secrets that looks wrong.
func (d *diagnoser) suspectSecrets() (all []Cause) {
	for i, s := range d.endpoint.Secrets() {
		if doubt := s.Doubt(); doubt != "" {
			all = append(all, likely("secret_odd", fmt.Sprintf("secret %d of %s %s", i, d.endpoint.SecretsFrom, doubt), "check how it got there, and set it as the vendor shows it"))
		}
	}
	return all
}
