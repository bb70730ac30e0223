package diagnosis

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// signedText is a text that may have been signed, in parts.
type signedText struct {
	scheme string // "": no scheme signs it, or settings describe it
	asSent bool   // it isn't in canonical form
	parts  [][]byte
	causes []Cause // the differences from all schemes, or from the settings
}

// examineTexts adds a step for each text that the endpoint's vendor may sign, with the beginning of the
// first secrets' MACs. If settings describe the text, it shows only lengths and digests.
func (d *diagnoser) examineTexts() {
	if d.hasSettings() {
		parts, _ := d.endpoint.Provider.Explain(d.toVerify())
		d.step("signed", "%sSIGNED=%s: %s", d.endpoint.Prefix, d.endpoint.Provider.Settings.Signed, strings.Join(parts, ", "))
	}
	for _, t := range d.texts(d.body) {
		if t.causes != nil || t.scheme != "" && !d.endpoint.knows(t.scheme) {
			continue
		}
		whole := bytes.Join(t.parts, nil)
		name, shown := "by "+t.scheme, abridged(string(whole))
		if t.scheme == "" {
			name, shown = "the signed text", fmt.Sprintf("its SHA-256 begins %.4x", sha256.Sum256(whole))
		} else if !d.endpoint.takes(t.scheme) {
			name += ", which the endpoint isn't set to"
		}
		if t.asSent {
			name += ", as it was sent"
		}
		secrets := d.endpoint.Secrets()
		for i, s := range secrets[:min(len(secrets), maxShown)] {
			shown += fmt.Sprintf("; secret %d makes %.4x…", i, s.MAC(whole))
		}
		if more := len(secrets) - maxShown; more > 0 {
			shown += fmt.Sprintf("; %d more are tried, too", more)
		}
		d.step("signed", "%s: %s, %s", name, config.Count(len(whole), "byte"), shown)
	}
}

func abridged(whole string) string {
	const limit = 16
	if len(whole) <= 2*limit {
		return whole
	}
	return whole[:limit] + " … " + whole[len(whole)-limit:]
}

// texts returns the texts that may have been signed, the expected ones first.
func (d *diagnoser) texts(b body) (all []signedText) {
	if d.hasSettings() {
		return d.textsBySettings(b)
	}
	var schemes []string
	for _, p := range providers.All {
		for _, s := range p.Signature.Schemes {
			if !slices.Contains(schemes, s.Name) {
				all = append(all, b.textsOf(s)...)
				schemes = append(schemes, s.Name)
			}
		}
	}
	others := []part{{"the body", b.text}}
	for _, s := range d.endpoint.Provider.Signature.Schemes {
		if n := len(s.Members); n > 0 {
			others = append(others, part{"the " + s.Members[n-1], b.text.Member(s.Members[n-1])})
		}
	}
	for _, time := range timesOf(b.text) {
		for _, other := range others {
			for _, separator := range []string{".", "", ":", "\n", "|", ",", " ", "-", "_", ";", "&"} {
				if other.text != nil {
					all = append(all, joined(time, separator, other), joined(other, separator, time))
				}
			}
		}
	}
	return all
}

// textsOf returns the texts that a scheme may sign: of the canonical form, and of the body as sent.
func (b body) textsOf(s verify.Scheme) (all []signedText) {
	parts := s.Parts(b.text)
	switch isWhole := b.text != nil && !slices.ContainsFunc(parts, func(part []byte) bool { return part == nil }); {
	case s.Signed(b.text) != nil:
		all = append(all, signedText{scheme: s.Name, parts: parts})
	case isWhole:
		all = append(all, signedText{parts: parts, causes: []Cause{proven(
			"it is signed over "+strings.Join(s.Members, " and ")+", which isn't an object: it can't be verified under scheme "+s.Name,
			"usually a dashboard's test is like that: cause a real event at the vendor and capture that",
		)}})
	}
	if b.text == nil || bytes.Equal(bytes.TrimSpace(b.raw), b.text) { // a capture may add a line break
		return all
	}
	if sent := s.Signed(b.raw); sent != nil && !bytes.Equal(bytes.Join(sent, nil), bytes.Join(parts, nil)) {
		all = append(all, signedText{scheme: s.Name, asSent: true, parts: sent})
	}
	return all
}

type part struct {
	name string
	text []byte
}

// timesOf returns the forms in which a body's time may be signed.
func timesOf(b stringify.Text) []part {
	value := b.Member("timestamp")
	text := verify.TextOf(value)
	if text == "" {
		return nil
	}
	all := []part{
		{"the timestamp", value}, {"the timestamp without its quotation marks", []byte(text)}, {"the timestamp as a text", verify.Quoted(text)},
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		all = append(all, part{"the timestamp in milliseconds", strconv.AppendInt(nil, n*1000, 10)},
			part{"the timestamp in seconds", strconv.AppendInt(nil, n/1000, 10)})
	}
	return all
}

func joined(a part, separator string, b part) signedText {
	between := "nothing"
	if separator != "" {
		between = strconv.Quote(separator)
	}
	return signedText{
		parts:  [][]byte{a.text, []byte(separator), b.text},
		causes: []Cause{unknownScheme(a.name + " and " + b.name + ", with " + between + " between")},
	}
}

func unknownScheme(signed string) Cause {
	return proven("it is signed over "+signed+", which no scheme of this provider covers",
		"report it, with this output: the bridge has no setting for that")
}

// textsBySettings returns the signed text of a body by the settings, and by those of other vendors.
func (d *diagnoser) textsBySettings(b body) (all []signedText) {
	set, prefix := d.endpoint.Provider.Settings, d.endpoint.Prefix
	templates := []string{set.Signed, "{timestamp}{body}", "{body}{timestamp}", "{body}.{timestamp}"}
	for _, other := range providers.Presets {
		if !slices.Contains(templates, other.Settings.Signed) {
			templates = append(templates, other.Settings.Signed)
		}
	}
	for _, template := range templates {
		with := set
		with.Signed = template
		p, problems := providers.Preset(d.endpoint.Provider.Name).Configure(d.endpoint.Name, with)
		if problems != nil {
			continue
		}
		r := d.toVerify()
		r.Raw = b.raw
		parts := p.SignedText(r)
		if slices.ContainsFunc(parts, func(part []byte) bool { return len(part) == 0 }) {
			continue
		}
		t := signedText{parts: parts}
		if template != set.Signed {
			t.causes = []Cause{proven("it is signed over "+template+", and "+prefix+"SIGNED is "+set.Signed,
				"set "+prefix+"SIGNED="+template)}
		}
		all = append(all, t)
	}
	return all
}
