package verify

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
)

// MAC is a decoded HMAC-SHA256.
type MAC [sha256.Size]byte

// Encoding is a way to write a MAC.
type Encoding string

// The encodings that vendors use.
const (
	Hex    Encoding = "hex"
	Base64 Encoding = "base64" // standard or URL alphabet, padded or not
)

// Encode returns the text of a MAC. Base64 uses the standard alphabet with padding.
func (e Encoding) Encode(mac []byte) string {
	if e == Base64 {
		return base64.StdEncoding.EncodeToString(mac)
	}
	return hex.EncodeToString(mac)
}

// Alphabet returns the base64 alphabet of a text without padding.
func Alphabet(text string) *base64.Encoding {
	if strings.ContainsAny(text, "-_") {
		return base64.RawURLEncoding
	}
	return base64.RawStdEncoding
}

// Decode reads a MAC. The length of the text tells which of the encodings it has.
func Decode(text string, encodings []Encoding) (mac MAC, ok bool) {
	const unpadded = 43 // base64 characters of 32 bytes
	if len(text) == hex.EncodedLen(len(mac)) && slices.Contains(encodings, Hex) {
		_, err := hex.Decode(mac[:], []byte(text))
		return mac, err == nil
	}
	if len(text) == unpadded+1 {
		text = strings.TrimSuffix(text, "=")
	}
	if len(text) != unpadded || !slices.Contains(encodings, Base64) {
		return mac, false
	}
	// encoding/base64 skips line breaks, and then returns fewer bytes than a MAC has.
	n, err := Alphabet(text).Strict().Decode(mac[:], []byte(text))
	return mac, err == nil && n == len(mac)
}

// Format is the form of a signature header: items with a separator between them.
type Format struct {
	Encodings []Encoding // of the signature; the first is the one to sign with
	Separator string     // "": the whole header is one item
	Items     []Item
}

// Bare returns the format of a header that has a signature and nothing else.
func Bare(encodings ...Encoding) Format {
	return Format{Encodings: encodings, Items: []Item{{}}}
}

// Item is text around a signature or around the time.
type Item struct {
	Prefix, Suffix string
	IsTime         bool
}

// MaxSignatures bounds the signatures in one header. A vendor that rotates its secrets sends two.
const MaxSignatures = 8

// HasTime reports whether the header has the time.
func (f *Format) HasTime() bool {
	return slices.ContainsFunc(f.Items, func(i Item) bool { return i.IsTime })
}

// Read appends the signatures of a header to macs. It returns the header's time even with an error.
// If the format has a time and the header has none or two, that counts as a missing signature.
func (f *Format) Read(macs []MAC, value string) (all []MAC, time string, err error) {
	if strings.Trim(value, " \t") == "" {
		return nil, "", NoSignature
	}
	times, signatures := 0, 0
	for more := true; more; {
		var text string
		text, value, more = f.next(value)
		switch found := f.match(text); {
		case found == nil:
		case found.IsTime:
			time = text[len(found.Prefix):]
			times++
		default:
			signatures++
			inside := text[len(found.Prefix) : len(text)-len(found.Suffix)]
			if mac, ok := Decode(inside, f.Encodings); ok && signatures <= MaxSignatures {
				macs = append(macs, mac)
			}
		}
	}
	switch {
	case f.HasTime() && times != 1:
		return nil, time, NoSignature
	case len(macs) == 0, signatures > MaxSignatures:
		return nil, time, MalformedSignature
	}
	return macs, time, nil
}

// next cuts the first item off a header.
func (f *Format) next(header string) (item, rest string, more bool) {
	if f.Separator == "" {
		return header, "", false
	}
	item, rest, more = strings.Cut(header, f.Separator)
	return strings.Trim(item, " \t"), rest, more
}

// match returns the item that a text of the header matches; nil: none.
func (f *Format) match(text string) *Item {
	for i := range f.Items {
		m := &f.Items[i]
		if len(text) > len(m.Prefix)+len(m.Suffix) && strings.HasPrefix(text, m.Prefix) && strings.HasSuffix(text, m.Suffix) {
			return m
		}
	}
	return nil
}

// Write writes a header with one signature.
func (f *Format) Write(mac []byte, time string) string {
	var b strings.Builder
	for i, m := range f.Items {
		if i > 0 {
			b.WriteString(f.Separator)
		}
		inside := time
		if !m.IsTime {
			inside = f.Encodings[0].Encode(mac)
		}
		b.WriteString(m.Prefix + inside + m.Suffix)
	}
	return b.String()
}
