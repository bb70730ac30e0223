package diagnosis

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"iter"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// reading is another way to read a body or a secret, which may have been changed on its way.
type reading struct {
	problem, remedy string
	read            func(text string) []string // "" counts as none
}

// otherTexts yields the other readings of a text, each with its cause.
func otherTexts(readings []reading, text string) iter.Seq2[string, Cause] {
	return func(yield func(string, Cause) bool) {
		for _, r := range readings {
			for _, other := range r.read(text) {
				if other != "" && other != text && !yield(other, proven(r.problem, r.remedy)) {
					return
				}
			}
		}
	}
}

// key is a secret as it is set, or as it may have been meant.
type key struct {
	secret.Secret
	endpoint Endpoint // the owner
	causes   []Cause  // the differences from the endpoint's secrets
}

// keys returns the endpoint's secrets, other readings of them, and the secrets of other endpoints.
func (d *diagnoser) keys() []key {
	var all, others []key
	for _, e := range d.Endpoints {
		for i, s := range e.Secrets() {
			is := fmt.Sprintf("it is signed with secret %d of %s", i, e.SecretsFrom)
			if e.Name != d.endpoint.Name {
				others = append(others, key{s, e, []Cause{proven(
					is+", which belongs to endpoint "+e.Name,
					fmt.Sprintf("at the vendor, register the address that ends in /webhooks/%s; or, if it is for %s, set its secret in %s",
						e.Name, d.endpoint.Name, d.endpoint.SecretsFrom),
				)}})
				continue
			}
			all = append(all, key{s, e, nil})
			for other, c := range otherTexts(d.secretReadings(), string(s.Key())) {
				c.Problem = is + " " + c.Problem
				all = append(all, key{secret.New(other), e, []Cause{c}})
			}
		}
	}
	return append(all, others...)
}

func (d *diagnoser) secretReadings() []reading {
	const alone = "set each secret alone, without a name, quotation marks or JSON: " +
		"a variable takes them with commas between, and a file one a line"
	return []reading{
		{"split at its blanks, commas and line breaks", alone, func(s string) []string { return partsAt(s, " \t\r\n,") }},
		{"taken out of the JSON, the quotation marks or the NAME= around it", alone, unwrapped},
		{
			"with a line break or a blank after it", "the secret at the vendor ends with one: create a new secret there",
			func(s string) []string { return []string{s + "\n", s + "\r\n", s + " "} },
		},
		{"as it is set, without decoding it", d.encodingRemedy("text"), d.encoded},
		{"decoded from base64", d.encodingRemedy("base64"), d.decoded("base64")},
		{"decoded from hex", d.encodingRemedy("hex"), d.decoded("hex")},
	}
}

func (d *diagnoser) encodingRemedy(encoding string) string {
	if d.hasSettings() && encoding != d.endpoint.Provider.Settings.SecretEncoding {
		return "set " + d.endpoint.Prefix + "SECRET_ENCODING=" + encoding
	}
	return "if it was encoded on the way, as for the `data` of a Kubernetes Secret, set it unencoded. " +
		"If the vendor shows it in " + encoding + ", the bridge has no setting for that: report it"
}

func partsAt(s, separators string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(separators, r) })
}

// unwrapped returns the parts of JSON or of an assignment. A secret in base64 may end with =.
func unwrapped(s string) (all []string) {
	for _, part := range partsAt(s, " \t\r\n,{}[]\"'") {
		all = append(all, part)
		if i := strings.IndexAny(part, ":="); i >= 0 {
			all = append(all, part[i+1:])
		}
	}
	return all
}

// encoded returns the values of the variable that give a key.
func (d *diagnoser) encoded(key string) []string {
	switch d.endpoint.Provider.Settings.SecretEncoding {
	case "base64":
		text := base64.StdEncoding.EncodeToString([]byte(key))
		return []string{text, "whsec_" + text}
	case "hex":
		return []string{hex.EncodeToString([]byte(key))}
	}
	return []string{key}
}

// decoded returns a function that decodes a key, and the values of the variable that give it. It also
// drops a line end: `echo secret | base64` encodes one, too.
func (d *diagnoser) decoded(encoding string) func(string) []string {
	return func(key string) (all []string) {
		for _, text := range append(d.encoded(key), key) {
			keys, _ := verify.Settings{SecretEncoding: encoding}.Keys([]secret.Secret{secret.New(text)}) // none if it is something else
			for _, k := range keys {
				all = append(all, string(k.Key()), strings.TrimSuffix(string(k.Key()), "\n"))
			}
		}
		return all
	}
}
