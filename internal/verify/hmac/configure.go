package hmac

import (
	"cmp"
	"embed"
	"errors"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// Configure returns the provider for an endpoint, whose settings override the preset's; or the mistakes
// in the settings, by variable.
func (p *Preset) Configure(endpoint string, set verify.Settings) (*verify.Provider, map[string]error) {
	sample, _ := samples.ReadFile("samples/" + p.Name + ".json") // no error: TestPresets
	set = override(p.Settings, set)
	set.TypePrefix = cmp.Or(set.TypePrefix, "webhook."+endpoint+".")
	v := &vendor{Provider: verify.Provider{
		Name: p.Name, Title: p.Title, TypePrefix: set.TypePrefix,
		Events: []string{p.Event}, Samples: []string{strings.TrimSpace(string(sample))},
		Time:       verify.Time{Tolerance: 5 * time.Minute},
		BySettings: verify.BySettings{Settings: set, OtherNames: p.OtherNames},
	}}
	if problems := v.parse(); len(problems) > 0 {
		return nil, problems
	}
	v.Read, v.Compose, v.SignedText, v.Explain, v.Unsigned = v.read, v.compose, v.signedText, v.explain, v.unsigned
	return &v.Provider, nil
}

//go:embed samples
var samples embed.FS // a body for each preset

// override returns base with the settings that are set.
func override(base, set verify.Settings) verify.Settings {
	to := reflect.ValueOf(&base).Elem()
	for field, value := range reflect.ValueOf(set).Fields() {
		if !value.IsZero() {
			to.FieldByIndex(field.Index).Set(value)
		}
	}
	return base
}

// vendor is the provider of an endpoint, with its parsed settings.
type vendor struct {
	verify.Provider
	when        part   // the place of the time; its kind is mac if that is the signature header; zero: no time
	signed      []part // the signed text
	hasOneValue bool   // the signed text has one value; text follows that, and then the body
	events      []part // the places of the event's name
	ids         []part // the places of the event's id; only signed ones
	users       []part // the places of the person's id
	paths       verify.Paths
}

// Body is the value of the envelope's "signed" if the signature covers the body, but no time.
const Body = "body"

var typePrefix = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9-]*\.)+$`)

// parse parses the settings. It returns the mistakes in them by variable.
func (v *vendor) parse() map[string]error {
	problems := map[string]error{}
	v.Signature.Header, problems["SIGNATURE_HEADER"] = headerName(v.Settings.SignatureHeader)
	if len(v.OtherNames) > 0 && v.Signature.Header != v.OtherNames[0][0] {
		v.OtherNames = nil
	}
	v.Signature.Format, problems["SIGNATURE_FORMAT"] = parseFormat(v.Settings.SignatureFormat)
	problems["TIMESTAMP"] = v.parseTime()
	v.signed, problems["SIGNED"] = v.parseSigned()
	v.Signature.Schemes = []verify.Scheme{{Name: Body}}
	if v.when.kind == member || slices.ContainsFunc(v.signed, func(p part) bool { return p.kind == timestamp }) {
		v.Signature.Schemes[0].Name = verify.Payload
	}
	v.events, problems["EVENT"] = parsePlaces(v.Settings.Event, &v.paths)
	switch {
	case v.Settings.Event == "":
		problems["EVENT"] = errors.New("every event needs a name")
	case slices.ContainsFunc(v.events, v.isSignature):
		problems["EVENT"] = errors.New("the signature can't be the event's name")
	}
	problems["EVENT_ID"] = v.parseIDs()
	v.users, problems["USER"] = parsePlaces(v.Settings.User, &v.paths)
	if slices.ContainsFunc(v.users, func(u part) bool { return u.kind == header }) {
		problems["USER"] = errors.New("a person's id can't be in a header")
	}
	if len(v.Settings.TypePrefix) > 128 || !typePrefix.MatchString(v.Settings.TypePrefix) {
		problems["TYPE_PREFIX"] = errors.New("it is not such a name, or longer than 128 characters")
	}
	maps.DeleteFunc(problems, func(_ string, err error) bool { return err == nil })
	for _, p := range slices.Concat([]part{{kind: header, text: v.Signature.Header}, v.when}, v.signed, v.events) {
		if p.kind == header && !slices.Contains(v.Headers, p.text) {
			v.Headers = append(v.Headers, p.text)
		}
	}
	return problems
}

// parseTime parses the place of the time.
func (v *vendor) parseTime() (err error) {
	format, inSignature := &v.Signature.Format, v.Settings.Timestamp == "signature"
	switch hasTime := format.TimePrefix != ""; {
	case inSignature && !hasTime && format.Encodings != nil: // without encodings, the format itself is wrong
		return errors.New("SIGNATURE_FORMAT has no {timestamp}")
	case hasTime && !inSignature:
		return errors.New("SIGNATURE_FORMAT has {timestamp}: set signature")
	case v.Settings.Timestamp == "" && strings.Contains(v.Settings.Signed, "{timestamp}"):
		return errors.New("SIGNED has {timestamp}: set where it is")
	case v.Settings.Timestamp == "":
		return nil
	case inSignature:
		v.when.kind = mac
	default:
		if v.when, err = parsePlace(v.Settings.Timestamp, &v.paths); err == nil && v.isSignature(v.when) {
			err = errors.New("for a time in the signature header, set signature")
		}
	}
	if v.when.kind == member {
		v.Time.Member = v.when.text
	}
	v.Time.Unit = verify.Unit(cmp.Or(v.Settings.TimestampUnit, string(verify.Seconds)))
	return err
}

// parseIDs parses the places of the event's id. It ignores unsigned ones: by changing them, anybody could
// make any number of events of one captured delivery.
func (v *vendor) parseIDs() error {
	all, err := parsePlaces(v.Settings.EventID, &v.paths)
	for _, id := range all {
		isSigned := func(p part) bool { return p.isHeader(id.text) }
		if id.kind == member || slices.ContainsFunc(v.signed, isSigned) {
			v.ids = append(v.ids, id)
		} else {
			v.Ignored = append(v.Ignored, id.text)
		}
	}
	return err
}

// isSignature reports whether a part is the signature's header, by either of its names.
func (v *vendor) isSignature(p part) bool {
	return p.isHeader(v.Signature.Header) || len(v.OtherNames) > 0 && p.isHeader(v.OtherNames[0][1])
}
