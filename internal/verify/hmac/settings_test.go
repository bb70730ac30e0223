package hmac

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// custom is the provider without settings of its own.
const custom = "hmac"

// good are valid settings.
var good = map[string]string{
	"SIGNATURE_HEADER": "X-Signature", "SIGNATURE_FORMAT": "t={timestamp},v1={hex}", "SIGNED": "{header:X-Id}.{timestamp}.{body}",
	"TIMESTAMP": "signature", "TIMESTAMP_UNIT": "s", "EVENT": "body:event.type, body:type", "EVENT_ID": "header:X-Id", "USER": "body:user.id",
	"SECRET_ENCODING": "base64", "TYPE_PREFIX": "com.example.",
}

// Each wrong setting is named, with the place of the mistake.
func TestWrongSettings(t *testing.T) {
	for _, c := range []struct{ variable, value, says string }{
		{"SIGNED", "", "{body} is missing"},
		{"SIGNED", "{timestamp}", "{body} is missing"},
		{"SIGNED", "body", "{body} is missing"},
		{"SIGNED", "{timestamp}.{body}.{body}", "at character 20: this is given twice"},
		{"SIGNED", "{timestamp}.{bdoy}", "at character 13: {bdoy} is unknown"},
		{"SIGNED", "{timestamp}.{}{body}", "at character 13: {} is unknown"},
		{"SIGNED", "{timestamp}.{body", "at character 13: a brace"},
		{"SIGNED", "{timestamp}.body}", "at character 17: a brace"},
		{"SIGNED", "{{body}}", "at character 1: a brace"},
		{"SIGNED", "{header:X-Id}{timestamp}.{body}", "at character 14: text is needed before this, or"},
		{"SIGNED", "{header:X-Id}{header:X-Other}.{timestamp}.{body}", "at character 14: text is needed"},
		{"SIGNED", "{header:X-Id}.{header:x-id}.{timestamp}.{body}", "at character 15: this is given twice"},
		{"SIGNED", "{header:X-Id}{body}{header:X-Other}.{timestamp}", "at character 14: text is needed before this, or"},
		{"SIGNED", "{header:X-Id}{body}.{timestamp}.{header:X-Other}", "at character 14: text is needed before this, or"},
		{"SIGNED", "{header:}.{body}", "at character 1: a header's name is missing"},
		{"SIGNED", "{header:X Id}.{body}", "at character 1: a header's name can't contain ' '"},
		{"SIGNED", "{header:Authorization}.{body}", "the header Authorization belongs to"},
		{"SIGNED", "{header:transfer-encoding}.{body}", "the header Transfer-Encoding belongs to"},
		{"SIGNED", "{header:X-Forwarded-For}.{body}", "X-Forwarded-For"},
		{"SIGNED", "{header:x-signature}.{body}", "at character 1: a signature can't sign itself"},
		{"SIGNED", "{body}{hex}", "at character 7: a signature can't sign itself"},
		{"SIGNATURE_HEADER", "", "a header's name is missing"},
		{"SIGNATURE_HEADER", "Cookie", "Cookie belongs"},
		{"SIGNATURE_HEADER", "Proxy-Authorization", "Proxy-Authorization belongs"},
		{"SIGNATURE_HEADER", "X-Sig:", "can't contain ':'"},
		{"SIGNATURE_HEADER", "X-Schlüssel", "can't contain 'ü'"},
		{"SIGNATURE_FORMAT", "", "it needs {hex} or {base64}"},
		{"SIGNATURE_FORMAT", "sha256=", "it needs {hex} or {base64}"},
		{"SIGNATURE_FORMAT", "t={timestamp},v1={hex},v2={base64}", "it needs {hex} or {base64}"},
		{"SIGNATURE_FORMAT", "t={timestamp},u={timestamp},v1={hex}", "{timestamp} is given twice"},
		{"SIGNATURE_FORMAT", "{timestamp}.{hex}", "a time needs a list"},
		{"SIGNATURE_FORMAT", "{body}{hex}", "at character 1: only {hex}"},
		{"TIMESTAMP", "", ": set signature"},
		{"TIMESTAMP", "header:X-Time", ": set signature"},
		{"TIMESTAMP", "body:", ": set signature"},
		{"EVENT", "", "every event needs a name"},
		{"EVENT", "type", `at character 1: "type" is neither`},
		{"EVENT", "body:type,type", `at character 11: "type" is neither`},
		{"EVENT", "body:a..b", "a name in the path is missing"},
		{"EVENT", "header:Host", "Host belongs"},
		{"EVENT", "body:type, header:x-signature", "the signature can't be the event's name"},
		{"EVENT_ID", "id", `"id" is neither`},
		{"USER", "header:X-User", "can't be in a header"},
		{"TYPE_PREFIX", "com.acme", "not such a name"},
		{"TYPE_PREFIX", "com acme.", "not such a name"},
		{"TYPE_PREFIX", ".", "not such a name"},
	} {
		set := maps.Clone(good)
		set[c.variable] = c.value
		_, problems := Presets[len(Presets)-1].Configure("acme", settings(t, set))
		if err := problems[c.variable]; err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s=%q: %q, want %q", c.variable, c.value, problems, c.says)
		}
	}
	for _, c := range []struct {
		set      map[string]string
		variable string
	}{
		{map[string]string{"SIGNATURE_FORMAT": "{hex}"}, "TIMESTAMP"},
		{map[string]string{"SIGNATURE_FORMAT": "{hex}", "TIMESTAMP": ""}, "TIMESTAMP"},
		{map[string]string{"SIGNATURE_FORMAT": "{hex}", "TIMESTAMP": "header:X-Signature"}, "TIMESTAMP"},
		{map[string]string{"SIGNATURE_FORMAT": "{hex}", "TIMESTAMP": "header:X-Id"}, "SIGNED"}, // twice
		{map[string]string{"SIGNATURE_FORMAT": "{hex}", "TIMESTAMP": "cookie:x"}, "TIMESTAMP"},
		{map[string]string{"SIGNED": "{header:X-Id}{timestamp}#{header:X-Other}.{body}", "TIMESTAMP_UNIT": "rfc3339"}, "SIGNED"},
	} {
		set := maps.Clone(good)
		maps.Copy(set, c.set)
		_, problems := Presets[len(Presets)-1].Configure("acme", settings(t, set))
		if problems[c.variable] == nil {
			t.Errorf("%v: %q, want a problem of %s", c.set, problems, c.variable)
		}
	}
}

// The Svix name of the signature header names the same header: its value is never published, signed or
// kept.
func TestSignatureBySvixName(t *testing.T) {
	for variable, set := range map[string]verify.Settings{
		"EVENT":     {Event: "body:type,header:svix-signature"},
		"SIGNED":    {Signed: "{header:svix-signature}.{timestamp}.{body}"},
		"TIMESTAMP": {Timestamp: "header:svix-signature"},
	} {
		_, problems := Presets[0].Configure("acme", set)
		if problems[variable] == nil {
			t.Errorf("%+v: got %q, want a problem of %s", set, problems, variable)
		}
	}
	if _, problems := Presets[0].Configure("acme", verify.Settings{SignatureHeader: "X-Sig", Event: "header:svix-signature"}); problems != nil {
		t.Errorf("got %q, want none: with another header of its own, Svix' names mean nothing", problems)
	}
}

// A set variable overrides the preset; the others stay.
func TestOverrides(t *testing.T) {
	p := named(t, custom, settings(t, good))
	if p.TypePrefix != "com.example." || p.Signature.Header != "X-Signature" || !slices.Equal(p.BySettings.Headers, []string{"X-Signature", "X-Id"}) || p.Time.Unit == verify.NoTime || p.BySettings.Ignored != nil {
		t.Errorf("got %+v, want it as it is set", p)
	}
	i := slices.IndexFunc(Presets, func(p *Preset) bool { return p.Settings.SignatureHeader == "X-Hub-Signature-256" })
	preset := Presets[i]
	own, problems := preset.Configure("code", verify.Settings{Event: "body:action", EventID: "header:X-GitHub-Delivery"})
	if problems != nil {
		t.Fatal(problems)
	}
	want := preset.Settings
	want.Event, want.EventID = "body:action", "header:X-GitHub-Delivery"
	if own.BySettings.Settings != want || own.Time.Unit != verify.NoTime || !slices.Equal(own.BySettings.Ignored, []string{"X-Github-Delivery"}) {
		t.Errorf("got %+v, want the preset with another event and id", own)
	}
	if preset.Settings.Event == own.BySettings.Settings.Event {
		t.Error("the preset itself has changed")
	}
	own, problems = Presets[0].Configure("my-hooks", verify.Settings{})
	if problems != nil || own.TypePrefix != "webhook.my-hooks." {
		t.Errorf("got %+v, %v, want the type's prefix of the endpoint", own, problems)
	}
}

// Each preset has a source, and its settings are valid.
func TestPresets(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Presets {
		if p.Title == "" || p.Source == "" && p.Name != custom || p.Event == "" || seen[p.Name] {
			t.Errorf("%s: something is missing, or there twice", p.Name)
		}
		seen[p.Name] = true
		if sample, err := samples.ReadFile("samples/" + p.Name + ".json"); err != nil || len(sample) == 0 {
			t.Errorf("%s has no sample: %v", p.Name, err)
		}
		if p.Name == custom {
			continue
		}
		if _, problems := p.Configure("x", verify.Settings{}); problems != nil {
			t.Errorf("the preset %s isn't valid: %v", p.Name, problems)
		}
	}
}

func TestSecrets(t *testing.T) {
	for _, c := range []struct{ encoding, text, want string }{
		{"base64", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "\x31\xf2\x90\xf6\xbf\x06\x29\x8a\xab\x4f\x08\xd4\x3c\x3f\x08\x2c\xf6\x48\xa3\x62\xda\x2d\xa4\xb0"},
		{"base64", "AAE=", "\x00\x01"},
		{"base64", "AAE", "\x00\x01"},
		{"base64", "-_8", "\xfb\xff"},
		{"base64", "+/8=", "\xfb\xff"},
		{"base64", "whsec_", ""},
		{"base64", "not base64!", ""},
		{"base64", "A", ""},
		{"hex", "00fF", "\x00\xff"},
		{"hex", "0", ""},
		{"hex", "0x00", ""},
		{"hex", "", ""},
	} {
		keys, err := verify.Settings{SecretEncoding: c.encoding}.Keys([]secret.Secret{secret.New(c.text)})
		if (err == nil) != (c.want != "") || err == nil && string(keys[0].Key()) != c.want {
			t.Errorf("in %s %q are the keys %v, %v, want %x", c.encoding, c.text, keys, err, c.want)
		}
		if err != nil && c.text != "" && strings.Contains(strings.TrimPrefix(err.Error(), "secret 0: "), c.text) {
			t.Errorf("the error quotes the secret: %v", err)
		}
	}
}

func TestForms(t *testing.T) {
	github := named(t, "github", verify.Settings{})
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}
	for body, want := range map[string]string{
		"payload=%7B%7D": "{}", "a=1&payload=%7b%22a+b%22:1%7d&b=2": `{"a b":1}`, "p%61yload=%7B%7D": "{}",
		"": "", "payload": "", "a=1": "", "payload=%7B%7D&payload=%7B%7D": "", "payload=%7B%7D&p%61yload=%7B%7D": "",
		"payload=%zz": "", "payloads=%7B%7D": "",
	} {
		got, err := github.JSON(form, []byte(body))
		if string(got) != want || (err == nil) != (want != "" || body == "payload") {
			t.Errorf("the form %q has the body %q, %v, want %q", body, got, err, want)
		}
	}
	// Text that a user has written into JSON isn't taken for a form, whatever the header says.
	for _, body := range []string{`{"comment":"&payload=%7B%22action%22:%22deleted%22%7D&"}`, `["&payload=%7B%7D&"]`, "payload={}", "Hello, &payload=%7B%7D&"} {
		if got, err := github.JSON(form, []byte(body)); string(got) != body || err != nil {
			t.Errorf("%q is no form: got %q, %v, want it unchanged", body, got, err)
		}
	}
	if got, err := github.JSON(http.Header{}, []byte("payload={}")); string(got) != "payload={}" || err != nil {
		t.Errorf("without a content type: %q, %v", got, err)
	}
	// Without text between it and another value, a form could begin elsewhere.
	set := map[string]string{"SIGNATURE_HEADER": "X-Sig", "SIGNATURE_FORMAT": "{hex}", "EVENT": "body:type", "TIMESTAMP": "header:X-Time", "TIMESTAMP_UNIT": "rfc3339"}
	for signed, takes := range map[string]bool{"{body}": true, "v0:{header:X-A}:{body}": true, "{header:X-A}{body}": false, "{body}.{header:X-A}": false, "{body}.": false, "{timestamp}.{body}": true, "{header:X-A}{timestamp}.{body}": false} {
		set["SIGNED"] = signed
		if p := named(t, custom, settings(t, set)); p.BySettings.Forms != takes {
			t.Errorf("%s takes forms: %v", signed, !takes)
		}
	}
}

// A delivery that is signed by any settings is verified by them. If its data is made up, it is an event
// of its own.
func TestSignedIsVerified(t *testing.T) {
	when := time.Unix(1767323045, 0)
	sets := []map[string]string{good}
	for _, v := range read(t, custom) {
		sets = append(sets, v.Settings)
	}
	made := func(p *verify.Provider, id string, data []byte) verify.Claims {
		t.Helper()
		key := secret.New("right")
		body, err := p.NewBody("thing.made", data, id)
		expect.NoError(t, err)
		if body, err = p.Renew(body, when); err != nil {
			t.Fatal(err)
		}
		if data != nil && !bytes.Contains(body, []byte(`"mine":true`)) {
			t.Errorf("%s has not the data that was given", body)
		}
		h, err := p.Sign(verify.Signing{Key: key, Event: "thing.made", ID: id, Body: body, Time: when})
		expect.NoError(t, err)
		parsed, err := p.Parse(nil, body, nil)
		expect.NoError(t, err)
		r := verify.Request{Header: h, Raw: body, Body: parsed, Secrets: []secret.Secret{key}, Tolerance: time.Minute, Now: when}
		c, err := p.Verify(r)
		if err != nil || c.Name != "thing.made" {
			t.Errorf("%s: got %+v, %v, want it verified; the headers are %v", p.Name, c, err, h)
		}
		return c
	}
	check := func(p *verify.Provider) {
		t.Helper()
		made(p, "1", []byte(`{"mine":true,"data":[1]}`))
		first, second := made(p, "1", nil), made(p, "2", nil)
		if bytes.Equal(bytes.Join(first.IDText, nil), bytes.Join(second.IDText, nil)) {
			t.Errorf("%s: two made-up deliveries are one event: %s", p.Name, first.Body)
		}
	}
	for _, set := range sets {
		check(named(t, custom, settings(t, set)))
	}
	for _, p := range Presets {
		if p.Name != custom {
			check(named(t, p.Name, verify.Settings{}))
		}
	}
}

// A number is read to the microsecond.
func TestTimes(t *testing.T) {
	for _, c := range []struct {
		unit        verify.Unit
		stamp, want string
	}{
		{verify.Seconds, "1767323045.123456", "2026-01-02T03:04:05.123456Z"},
		{verify.Milliseconds, "1767323045123.456", "2026-01-02T03:04:05.123456Z"},
		{verify.Seconds, "99999999999", "5138-11-16T09:46:39Z"},
		{verify.DateTime, "2026-01-02t03:04:05+01:00", "2026-01-02T03:04:05+01:00"},
		{verify.Seconds, "", ""},
		{verify.Seconds, "1h1", ""},
		{verify.Seconds, "0x1p31", ""},
		{verify.Seconds, "Inf", ""},
		{verify.Seconds, "1_0", ""},
		{verify.DateTime, "2026-01-02T03:04:05-23:59", "2026-01-02T03:04:05-23:59"},
		{verify.DateTime, "2026-01-02T3:04:05Z", ""},
		{verify.DateTime, "2026-01-02T03:04:05+24:00", ""},
		{verify.DateTime, "2026-01-02T03:04:05-00:60", ""},
	} {
		if _, written, ok := c.unit.Parse([]byte(c.stamp)); written != c.want || ok != (c.want != "") {
			t.Errorf("%s in %s: %q, %v, want %q", c.stamp, c.unit, written, ok, c.want)
		}
	}
}

// If the header with the event's name comes twice, there is no name: the next place isn't used.
func TestEventHeaderTwice(t *testing.T) {
	p := named(t, "github", verify.Settings{Event: "header:X-GitHub-Event,body:action"})
	key, body := secret.New("right"), []byte(`{"action":"opened"}`)
	h, err := p.Sign(verify.Signing{Key: key, Event: "issues", ID: "1", Body: body, Time: time.Now()})
	expect.NoError(t, err)
	for want, names := range map[string][]string{"opened": nil, "issues": {"issues"}, "": {"issues", "push"}} {
		h["X-Github-Event"] = names
		c, err := p.Verify(verify.Request{Header: h, Raw: body, Body: body, Secrets: []secret.Secret{key}, Now: time.Now()})
		if c.Name != want || errors.Is(err, verify.Unreadable) != (want == "") {
			t.Errorf("names %v: got %q, %v, want %q", names, c.Name, err, want)
		}
	}
}

// Two ids that differ only in a lone surrogate, which no hash of UTF-8 tells apart, are two events.
func TestSurrogateIDs(t *testing.T) {
	p := named(t, "stripe", verify.Settings{})
	key, seen := secret.New("right"), map[string]string{}
	for _, body := range []string{`{"id":"\ud800","type":"a"}`, `{"id":"\ud801","type":"a"}`, `{"id":"` + "\uffff" + `","type":"a"}`} {
		h, err := p.Sign(verify.Signing{Key: key, Body: []byte(body), Time: time.Now()})
		expect.NoError(t, err)
		c, err := p.Verify(verify.Request{Header: h, Raw: []byte(body), Body: []byte(body), Secrets: []secret.Secret{key}, Now: time.Now(), Tolerance: time.Minute})
		expect.NoError(t, err)
		if other, ok := seen[id(c)]; ok {
			t.Errorf("%s and %s have one id", other, body)
		}
		seen[id(c)] = body
	}
}
