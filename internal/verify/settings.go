package verify

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// BySettings is the part of a provider that only package hmac fills in, from an endpoint's settings. The
// envelope then has the body as it came, without white space between tokens.
type BySettings struct {
	Settings   Settings
	Headers    []string    // the headers that Verify reads, by their names in Settings; the signature's is first
	OtherNames [][2]string // a header's name in Settings, and its other name at the vendor; the signature's is first
	Ignored    []string    // the headers in Settings.EventID that aren't signed, and so are ignored
	Forms      bool        // the body may be a form whose member payload has the JSON

	SignedText func(Request) [][]byte                  // returns the signed text, in parts; one that is missing or comes twice is empty
	Explain    func(Request) (parts, missing []string) // describes the parts without showing them, and lists the missing ones
	Unsigned   func(Signing) http.Header               // returns the headers of a delivery, with zeros for the signature
}

// HasSettings reports whether settings describe what the vendor signs.
func (b *BySettings) HasSettings() bool { return b.SignedText != nil }

// Rename returns the headers by their names in Settings. If the signature comes only by its other name,
// Rename takes all headers by their other names. If a header comes by both names, its values must be
// equal, because nothing tells which one counts.
func (b *BySettings) Rename(h http.Header) (http.Header, error) {
	for _, n := range b.OtherNames {
		if values, others := h[n[0]], h[n[1]]; len(values) > 0 && len(others) > 0 && !slices.Equal(values, others) {
			return h, fmt.Errorf("%w: %s and %s differ", ManySignatures, n[0], n[1])
		}
	}
	if b.OtherNames == nil || len(h[b.OtherNames[0][0]]) > 0 || len(h[b.OtherNames[0][1]]) == 0 {
		return h, nil
	}
	h = maps.Clone(h)
	for _, n := range b.OtherNames {
		h[n[0]] = h[n[1]]
	}
	return h, nil
}

// JSON returns the JSON of a body: the body itself or, if it is a form, the form's member payload. The
// Content-Type isn't signed, so it alone must not turn JSON into a form: a user could have written
// &payload=… into the JSON. Every JSON object has bytes that no form has, because a form escapes them
// (https://url.spec.whatwg.org/#application-x-www-form-urlencoded-percent-encode-set).
func (b *BySettings) JSON(h http.Header, body []byte) ([]byte, error) {
	if !b.Forms || bytes.ContainsAny(body, "{[\"<> \t\r\n") {
		return body, nil
	}
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		return body, nil
	}
	members, err := url.ParseQuery(string(body))
	if err != nil || len(members["payload"]) != 1 {
		return nil, fmt.Errorf("%w: a form needs one member payload, with JSON", stringify.ErrSyntax)
	}
	return []byte(members.Get("payload")), nil
}

// Settings are the variables that describe how a vendor signs; "" isn't set. The tags are those of
// package config.
type Settings struct {
	SignatureHeader string `env:"SIGNATURE_HEADER" takes:"a header's name, such as X-Signature" doc:"the header with the signature"`
	SignatureFormat string `env:"SIGNATURE_FORMAT" takes:"{hex} or {base64} with text around, such as sha256={hex} or t={timestamp},v1={hex}" doc:"the form of the header"`
	Signed          string `env:"SIGNED" takes:"{body} once, with {timestamp}, {header:Name} and text, such as {timestamp}.{body}" doc:"the signed text"`
	Timestamp       string `env:"TIMESTAMP" takes:"header:Name, body:path or, if SIGNATURE_FORMAT has {timestamp}, signature" doc:"where the time is; if empty, no time is checked"`
	TimestampUnit   string `env:"TIMESTAMP_UNIT" oneof:"s ms rfc3339" doc:"form of the time: seconds or milliseconds since 1970, or RFC 3339"`
	Event           string `env:"EVENT" takes:"header:Name or body:path, such as body:type; of several, comma-separated, the first that is present is used" doc:"where the event's name is"`
	EventID         string `env:"EVENT_ID" takes:"header:Name or body:path, such as body:id; of several, as for EVENT" doc:"where the event's id is; if it isn't signed, the id is a hash of the signed text without its time"`
	User            string `env:"USER" takes:"body:path, such as body:user.id; of several, comma-separated, the first that is present is used" doc:"where the person's id is"`
	SecretEncoding  string `env:"SECRET_ENCODING" oneof:"text base64 hex" doc:"the form of the secrets; whsec_ before base64 is ignored"`
	TypePrefix      string `env:"TYPE_PREFIX" takes:"a reverse DNS name with a full stop at its end, such as com.example." doc:"beginning of the CloudEvents type; the event's name follows"`
}

// Setting is one of the settings, by its variable without prefix.
type Setting struct{ Variable, Value string }

// List lists the settings in the order in which people fill them in.
func (s Settings) List() (list []Setting) {
	for field, value := range reflect.ValueOf(s).Fields() {
		list = append(list, Setting{field.Tag.Get("env"), value.String()})
	}
	return list
}

// Keys returns the keys that the secrets encode.
func (s Settings) Keys(secrets []secret.Secret) (keys []secret.Secret, err error) {
	for i, encoded := range secrets {
		var key []byte
		switch text := string(encoded.Key()); s.SecretEncoding {
		case "base64":
			text = strings.TrimRight(strings.TrimPrefix(text, "whsec_"), "=")
			key, err = alphabet(text).DecodeString(text)
		case "hex":
			key, err = hex.DecodeString(text)
		default:
			return secrets, nil
		}
		decoded := secret.New(string(key))
		if err != nil || decoded.IsEmpty() {
			return nil, fmt.Errorf("secret %d: it is not %s, or has only zeros", i, s.SecretEncoding)
		}
		keys = append(keys, decoded)
	}
	return keys, nil
}
