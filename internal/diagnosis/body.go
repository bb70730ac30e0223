package diagnosis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// body is the captured body, or one that may have been sent instead.
type body struct {
	raw    []byte
	text   stringify.Text // canonical; nil: it isn't one JSON object
	err    error          // of parsing it
	causes []Cause        // of the difference from the captured body
}

// examineBody adds the step about the body, and compares it with its canonical form.
func (d *diagnoser) examineBody() {
	raw := d.Delivery.Body
	text, err := d.endpoint.Provider.Parse(d.Delivery.header(), raw, nil)
	if errors.Is(err, verify.ErrNotObject) {
		err = errors.New("JSON, but not an object")
	}
	switch {
	case err != nil:
		d.step("body", "can't be read: %v", err)
	case d.hasSettings():
		d.step("body", "one JSON object")
	case bytes.Equal(bytes.TrimSpace(raw), text):
		d.step("body", "one JSON object in its canonical form, which is signed: %d bytes without white space around it", len(text))
	default:
		d.step("body", "one JSON object; its canonical form, which is signed, has %d bytes and %s. By itself that is harmless",
			len(text), difference(raw, text))
	}
	d.body = body{raw: raw, text: text, err: err}
}

// difference shows where a text first differs from its canonical form.
func difference(raw, text []byte) string {
	i := 0
	for i < min(len(raw), len(text)) && raw[i] == text[i] {
		i++
	}
	excerpt := func(b []byte) string { return strconv.QuoteToASCII(string(b[i:min(i+12, len(b))])) }
	return fmt.Sprintf("differs first at byte %d: %s… instead of %s…", i, excerpt(raw), excerpt(text))
}

// bodyReadings undo changes that a capture or a proxy may have made to a body.
var bodyReadings = []reading{
	{
		"without what is around its JSON",
		"nothing is wrong with the delivery if only the capture has it (a last line break, a byte order mark); " +
			"else find what adds it on the way", jsonAlone,
	},
	{
		"once its escapes are undone, as a log writes them",
		"nothing is wrong with the delivery if a log shows it so; " +
			"else something on the way passes JSON on inside a string: have it pass the body on unchanged", unescape,
	},
	{"in JSON.stringify's form", "something on the way rewrites the JSON: have it pass the body on unchanged", canonical},
}

func jsonAlone(raw string) []string {
	var first json.RawMessage
	_ = json.NewDecoder(strings.NewReader(strings.TrimPrefix(raw, string(byteOrderMark)))).Decode(&first) // nil if it isn't JSON
	return []string{string(first)}
}

func unescape(raw string) []string {
	quoted := `"` + strings.Trim(raw, "\" \t\r\n") + `"`
	ofNginx, _ := strconv.Unquote(quoted) // "" if it can't be
	var ofJSON string
	_ = json.Unmarshal([]byte(quoted), &ofJSON) // "" if it isn't JSON
	return []string{ofNginx, ofJSON}
}

func canonical(raw string) []string {
	text, _ := stringify.Parse([]byte(raw)) // nil if it isn't JSON
	return []string{string(text)}
}

// bodies returns the body as captured, and then those that may have been sent instead.
func (d *diagnoser) bodies() []body {
	all := []body{d.body}
	for raw, c := range otherTexts(bodyReadings, string(d.body.raw)) {
		if text, err := stringify.Parse([]byte(raw)); err == nil && text.IsObject() {
			c.Problem = "the signature is right for the body " + c.Problem
			all = append(all, body{raw: []byte(raw), text: text, causes: []Cause{c}})
		}
	}
	return all
}
