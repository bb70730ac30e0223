package hmac

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// format is the form of a signature header: items with a separator between them. Each item is text
// around a signature or around the time.
type format struct {
	separator string // "": the whole header is one item
	items     []item
	encodings []verify.Encoding
}

// item is one item of a format.
type item struct {
	prefix, suffix string
	isTime         bool
}

// maxSignatures bounds the signatures in one header. A vendor that rotates its secrets sends two.
const maxSignatures = 8

// parseFormat reads SIGNATURE_FORMAT. There are two kinds:
//   - a list of name={…} with commas or semicolons between them, such as t={timestamp},v1={hex}.
//     In a header the members may be in any order, the signature may occur several times, and
//     unknown members are ignored;
//   - other text around a signature, such as v1,{base64}. A header may have several with blanks
//     between them, unless the text itself has blanks.
func parseFormat(template string) (f format, err error) {
	parts, err := split(template)
	if err != nil {
		return format{}, err
	}
	signatures, times := 0, 0
	for _, p := range parts {
		switch p.kind {
		case literal:
		case mac:
			signatures++
			f.encodings = []verify.Encoding{verify.Encoding(p.text)}
		case timestamp:
			times++
		default:
			return format{}, at1(p.position, "only {hex}, {base64} and {timestamp} can stand here")
		}
	}
	switch {
	case signatures != 1:
		return format{}, errors.New("{hex} or {base64} is there once, and not both")
	case times > 1:
		return format{}, errors.New("{timestamp} is there twice")
	}
	f.separator = ","
	if strings.Contains(template, ";") {
		f.separator = ";"
	}
	list := strings.Split(template, f.separator)
	switch {
	case !slices.ContainsFunc(list, func(text string) bool { return !listed.MatchString(text) }):
	case times > 0:
		return format{}, errors.New("a time stands in a list: t={timestamp},v1={hex}")
	case strings.Contains(template, " "):
		f.separator, list = "", []string{template}
	default:
		f.separator, list = " ", []string{template}
	}
	for _, text := range list {
		prefix, rest, _ := strings.Cut(strings.TrimSpace(text), "{")
		name, suffix, _ := strings.Cut(rest, "}")
		f.items = append(f.items, item{prefix, suffix, name == "timestamp"})
	}
	return f, nil
}

// listed matches a member of a list.
var listed = regexp.MustCompile(`^\s*[^={}, ;]+=\{[^{}]*\}\s*$`)

// hasTime reports whether the header has the time.
func (f *format) hasTime() bool {
	return slices.ContainsFunc(f.items, func(i item) bool { return i.isTime })
}

// read returns the signatures and the time of a header; the time also with an error. If a time is
// required, none or two of them count as a missing signature.
func (f *format) read(value string) (macs []verify.MAC, time string, err error) {
	if strings.Trim(value, " \t") == "" {
		return nil, "", verify.NoSignature
	}
	parts := []string{value}
	if f.separator != "" {
		parts = strings.Split(value, f.separator)
	}
	times, signatures := 0, 0
	for _, text := range parts {
		text = strings.Trim(text, " \t")
		found := f.match(text)
		switch {
		case found == nil:
		case found.isTime:
			time = text[len(found.prefix):]
			times++
		default:
			signatures++
			inside := text[len(found.prefix) : len(text)-len(found.suffix)]
			if mac, ok := verify.Decode(inside, f.encodings); ok {
				macs = append(macs, mac)
			}
		}
	}
	switch {
	case f.hasTime() && times != 1:
		return nil, time, verify.NoSignature
	case len(macs) == 0, signatures > maxSignatures:
		return nil, time, verify.MalformedSignature
	}
	return macs, time, nil
}

// match returns the item that a part of the header matches; nil: none.
func (f *format) match(text string) *item {
	for i := range f.items {
		m := &f.items[i]
		if len(text) > len(m.prefix)+len(m.suffix) && strings.HasPrefix(text, m.prefix) && strings.HasSuffix(text, m.suffix) {
			return m
		}
	}
	return nil
}

// write writes a header with one signature.
func (f *format) write(sum []byte, time string) string {
	var b strings.Builder
	for i, m := range f.items {
		if i > 0 {
			b.WriteString(f.separator)
		}
		inside := time
		if !m.isTime {
			inside = f.encodings[0].Encode(sum)
		}
		b.WriteString(m.prefix + inside + m.suffix)
	}
	return b.String()
}
