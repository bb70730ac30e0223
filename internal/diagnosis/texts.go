package diagnosis

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// signedText is a text that may have been signed.
type signedText struct {
	scheme string // that signs it; "": none
	name   string // in words, unless it is the scheme's usual one
	parts  [][]byte
	unfit  string  // the scheme that would sign it if the body were valid
	causes []Cause // of the difference from the settings
}

func (t signedText) len() (n int) {
	for _, part := range t.parts {
		n += len(part)
	}
	return n
}

// examineTexts adds a step for each scheme of the provider: what it signs, and how the MACs of the
// secrets begin.
func (d *diagnoser) examineTexts() {
	for _, t := range d.texts(d.body) {
		if !slices.Contains(d.endpoint.Provider.SchemeNames(), t.scheme) {
			continue
		}
		var macs []string
		for i, s := range d.endpoint.Secrets() {
			macs = append(macs, fmt.Sprintf("secret %d makes %s…", i, hex.EncodeToString(verify.Sum(s, t.parts...)[:4])))
		}
		set := ""
		if d.endpoint.Scheme != t.scheme && d.endpoint.Scheme != verify.Auto {
			set = ", which the endpoint isn't set to"
		}
		asSent := ""
		if t.name != "" {
			asSent = ", as it was sent"
		}
		d.step("signed", "by %s%s%s: %d bytes, %s; %s", t.scheme, asSent, set, t.len(), abridged(t.parts), strings.Join(macs, ", "))
	}
}

// abridged quotes the beginning and the end of a text.
func abridged(parts [][]byte) string {
	whole := string(slices.Concat(parts...))
	const limit = 16
	if len(whole) <= 2*limit {
		return whole
	}
	return whole[:limit] + " … " + whole[len(whole)-limit:]
}

// texts returns what may have been signed of a body, by the schemes of all vendors and by others.
func (d *diagnoser) texts(b body) (all []signedText) {
	if d.isDescribed() {
		for _, g := range d.settings.Texts(b.raw) {
			all = append(all, signedText{parts: g.Value, causes: d.causesOf(g.Cause)})
		}
		return all
	}
	for _, p := range providers.All {
		for _, s := range p.Schemes {
			if !slices.ContainsFunc(all, func(t signedText) bool { return t.scheme == s.Name }) {
				all = append(all, b.textsOf(s)...)
			}
		}
	}
	if b.text == nil {
		return append(all, signedText{name: "the bytes as they came", parts: [][]byte{b.raw}})
	}
	if b.text.Member("signature") != nil {
		rest := slices.DeleteFunc(members(b.text), func(m verify.Member) bool { return m.Name == "signature" })
		all = append(all, signedText{name: "the body without its signature", parts: [][]byte{rest.Text()}})
	}
	var times []part
	for _, name := range []string{"timestamp", "time"} {
		times = append(times, timesOf("the "+name, b.text.Member(name))...)
	}
	for _, f := range d.Delivery.like("timestamp") {
		times = append(times, part{"the header " + f.Name, []byte(f.Value)})
	}
	for _, time := range times {
		for _, other := range []part{{"the data", b.text.Member("data")}, {"the body", b.text}} {
			for _, s := range separators {
				if other.text != nil {
					all = append(all, joined(time, s, other), joined(other, s, time))
				}
			}
		}
	}
	return all
}

// textsOf returns what a scheme signs of the body: of its canonical form, and of what was sent.
func (b body) textsOf(s verify.Scheme) (all []signedText) {
	if parts := s.Signed(b.text); parts != nil {
		all = append(all, signedText{scheme: s.Name, parts: parts})
	} else if parts := s.Parts(b.text); b.text != nil && !slices.ContainsFunc(parts, func(part []byte) bool { return part == nil }) {
		all = append(all, signedText{name: strings.Join(s.Members, " and "), parts: parts, unfit: s.Name})
	}
	if b.text == nil || bytes.Equal(bytes.TrimSpace(b.raw), b.text) { // a capture adds a line break
		return all
	}
	if parts := s.Signed(b.raw); parts != nil && !bytes.Equal(bytes.Join(parts, nil), bytes.Join(s.Parts(b.text), nil)) {
		all = append(all, signedText{scheme: s.Name, name: "the text as it was sent", parts: parts})
	}
	return all
}

type part struct {
	name string
	text []byte
}

// timesOf returns the forms in which a member's time may be signed, first as it is.
func timesOf(name string, value stringify.Text) []part {
	text := verify.TextOf(value)
	switch {
	case value == nil:
		return nil
	case value.IsString():
		return []part{{name, value}, {name + " without its quotation marks", []byte(text)}}
	}
	all := []part{{name, value}, {name + " as a text", verify.Quoted(text)}}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		all = append(all, part{name + " in milliseconds", strconv.AppendInt(nil, n*1000, 10)}, part{name + " in seconds", strconv.AppendInt(nil, n/1000, 10)})
	}
	return all
}

// separators may stand between two parts that are signed.
var separators = []string{".", "", ":", "\n", "|", ",", " ", "-", "_", ";", "&"}

func joined(a part, separator string, b part) signedText {
	between := "nothing"
	if separator != "" {
		between = strconv.Quote(separator)
	}
	return signedText{name: a.name + " and " + b.name + ", with " + between + " between", parts: [][]byte{a.text, []byte(separator), b.text}}
}
