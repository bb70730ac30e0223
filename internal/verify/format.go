package verify

import (
	"cmp"
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
func (e Encoding) Encode(mac MAC) string {
	if e == Base64 {
		return base64.StdEncoding.EncodeToString(mac[:])
	}
	return hex.EncodeToString(mac[:])
}

// alphabet returns the base64 alphabet of a text without padding.
func alphabet(text string) *base64.Encoding {
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
	n, err := alphabet(text).Strict().Decode(mac[:], []byte(text))
	return mac, err == nil && n == len(mac)
}

// Format is the form of a signature header: items with a separator between them. One kind of item has a
// signature, another may have the time, and others are ignored.
type Format struct {
	Encodings      []Encoding // of the signature; the first is the one to sign with
	Separator      string     // "": the whole header is one item
	Prefix, Suffix string     // around the signature
	TimePrefix     string     // before the time; "": the header has none
}

// Read appends the signatures of a header to macs, and returns the time in it, also with an error. The
// header's length bounds the number of signatures. If the format has a time, a header without one or with
// two counts as a missing signature.
func (f *Format) Read(macs []MAC, header string) (_ []MAC, time string, err error) {
	if strings.Trim(header, " \t") == "" {
		return nil, "", NoSignature
	}
	times := 0
	for more := true; more; {
		item := header
		if more = f.Separator != ""; more {
			item, header, more = strings.Cut(header, f.Separator)
			item = strings.Trim(item, " \t")
		}
		if text, isTime := strings.CutPrefix(item, f.TimePrefix); isTime && f.TimePrefix != "" && text != "" {
			time = cmp.Or(time, text)
			times++
			continue
		}
		text, hasPrefix := strings.CutPrefix(item, f.Prefix)
		text, hasSuffix := strings.CutSuffix(text, f.Suffix)
		if !hasPrefix || !hasSuffix || text == "" {
			continue
		}
		if mac, ok := Decode(text, f.Encodings); ok {
			macs = append(macs, mac)
		}
	}
	switch {
	case f.TimePrefix != "" && times != 1:
		return nil, time, NoSignature
	case len(macs) == 0:
		return nil, time, MalformedSignature
	}
	return macs, time, nil
}

// Write writes a header with one signature.
func (f *Format) Write(mac MAC, time string) string {
	signature := f.Prefix + f.Encodings[0].Encode(mac) + f.Suffix
	if f.TimePrefix == "" {
		return signature
	}
	return f.TimePrefix + time + f.Separator + signature
}
