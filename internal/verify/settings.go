package verify

import "reflect"

// Settings are the variables that describe how a vendor signs; "" isn't set. The tags are those of
// package config.
type Settings struct {
	SignatureHeader string `env:"SIGNATURE_HEADER" takes:"a header's name, such as X-Signature" doc:"the header with the signature"`
	SignatureFormat string `env:"SIGNATURE_FORMAT" takes:"{hex} or {base64} with text around, such as sha256={hex} or t={timestamp},v1={hex}" doc:"the form of the header"`
	Signed          string `env:"SIGNED" takes:"{body} once, with {timestamp}, {header:Name} and text, such as {timestamp}.{body}" doc:"the signed text"`
	Timestamp       string `env:"TIMESTAMP" takes:"header:Name, body:path or, if SIGNATURE_FORMAT has {timestamp}, signature" doc:"where the time is; if empty, no time is checked"`
	TimestampUnit   string `env:"TIMESTAMP_UNIT" oneof:"s ms rfc3339" doc:"form of the time: seconds or milliseconds since 1970, or RFC 3339"`
	Event           string `env:"EVENT" takes:"header:Name or body:path, such as body:type; of several, comma-separated, the first that is present is used" doc:"where the event's name is"`
	EventID         string `env:"EVENT_ID" takes:"header:Name or body:path, such as body:id" doc:"where the event's id is; if it isn't signed, the id is a hash of the signed text without its time"`
	User            string `env:"USER" takes:"body:path, such as body:user.id; of several, comma-separated, the first that is present is used" doc:"where the person's id is"`
	SecretEncoding  string `env:"SECRET_ENCODING" oneof:"text base64 hex" doc:"the form of the secrets; whsec_ before base64 is ignored"`
	TypePrefix      string `env:"TYPE_PREFIX" takes:"a reverse DNS name with a full stop at its end, such as com.example." doc:"beginning of the CloudEvents type; the event's name follows"`
}

// Setting is one of the settings, by its variable without prefix.
type Setting struct{ Variable, Value string }

// List lists the settings in the order in which people fill them in.
func (s Settings) List() (list []Setting) {
	v := reflect.ValueOf(s)
	for i, field := range reflect.VisibleFields(v.Type()) {
		list = append(list, Setting{field.Tag.Get("env"), v.Field(i).String()})
	}
	return list
}
