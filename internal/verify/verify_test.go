package verify

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

func lines[T any](t *testing.T, file string) []T {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []T
	for scanner := bufio.NewScanner(f); scanner.Scan(); {
		var v T
		if err := json.Unmarshal(scanner.Bytes(), &v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, v)
	}
	return all
}

func body(t *testing.T, file string) stringify.Text {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := stringify.Parse(bytes.TrimSpace(src))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ageless is a tolerance that no vector's time exceeds.
const ageless = 100 * 365 * 24 * time.Hour

// The signatures were made with Node, as the vendors' pages say.
func TestNodeSignatures(t *testing.T) {
	type line struct {
		File, Secret     string
		BodyHex          string `json:"body_hex"`
		TimestampDataHex string `json:"ts_plus_data_hex"`
		DataBase64       string `json:"data_base64"`
		DataHex          string `json:"data_hex"`
		BodyBase64       string `json:"body_base64"`
	}
	for _, l := range lines[line](t, "signatures.jsonl") {
		for _, s := range []struct {
			provider  Provider
			scheme    string
			signature string
			want      string
		}{
			{Flock, Payload, l.BodyHex, Payload},
			{Flock, Auto, l.BodyHex, Payload},
			{Flock, TimestampData, l.TimestampDataHex, TimestampData},
			{Flock, Auto, l.TimestampDataHex, TimestampData},
			{Frigade, Data, l.DataBase64, Data},
			{Frigade, Data, l.DataHex, Data},
			{Frigade, Payload, l.BodyBase64, Payload},
		} {
			if s.signature == "" {
				continue // of the other vendor
			}
			r := Request{
				Body: body(t, l.File), Signatures: []string{s.signature}, Scheme: s.scheme, Tolerance: ageless,
				Secrets: []secret.Secret{secret.New("other"), secret.New(l.Secret)}, Now: time.Now(),
			}
			if s.want == TimestampData && r.Body.Member("timestamp") == nil {
				continue
			}
			c, err := s.provider.Verify(r)
			if err != nil || c.Scheme != s.want || c.Secret != 1 || c.Name == "" || c.Time == "" {
				t.Errorf("%s as %s: %+v, %v", l.File, s.scheme, c, err)
			}
		}
	}
}

func TestIDs(t *testing.T) {
	type line struct{ File, Body, Endpoint, Signed, ID string }
	key := secret.New("test")
	for _, l := range lines[line](t, "ids.jsonl") {
		text, provider := stringify.Text(nil), Frigade
		if l.File != "" {
			text = body(t, l.File)
		} else {
			text = parse(t, l.Body)
		}
		signed := [][]byte{text.Member("data")}
		switch l.Signed {
		case Payload:
			signed, provider = [][]byte{text}, Flock
		case TimestampData:
			signed, provider = [][]byte{text.Member("timestamp"), text.Member("data")}, Flock
		}
		c, err := provider.Verify(Request{
			Body: text, Signatures: []string{hex.EncodeToString(Sum(key, signed...))}, Secrets: []secret.Secret{key},
			Scheme: l.Signed, Tolerance: ageless, Now: time.Now(),
		})
		if err != nil {
			t.Errorf("%s: %v", l.File, err)
			continue
		}
		if id := event.ID(l.Endpoint, c.SignedText, c.IDName); id != l.ID {
			t.Errorf("%s%s as %s: id %s, want %s", l.File, l.Body, l.Signed, id, l.ID)
		}
	}
}

var (
	now   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	right = secret.New("right")
)

const (
	flockBody = `{"name":"invitee.accepted","entity":"invitee","entityId":"i1","data":{"referrer":{"id":"r1"},"invitee":{"id":"i1"}},"timestamp":1767323045}`
	frigade   = `{"type":"flowResponse.completedStep","time":"2026-01-02T03:04:05.000Z","data":{"id":"f1","actionType":"COMPLETED_STEP","createdAt":"2026-01-02T03:04:04.900Z","foreignUserId":"u1","userId":7}}`
)

func replace(text, from, to string) string {
	if !strings.Contains(text, from) {
		panic(text + " has no " + from)
	}
	return strings.Replace(text, from, to, 1)
}

// Each case signs its body under the scheme and may then change what is sent.
func TestFlock(t *testing.T) {
	for _, test := range []struct {
		name   string
		signed string // body as the vendor signed it
		scheme string // by which it is signed; the endpoint is set to auto unless set says otherwise
		set    string
		sent   string // body as received, where it differs
		header func(string) []string
		want   error
	}{
		{name: "payload", signed: flockBody, scheme: Payload},
		{name: "timestamp-data", signed: flockBody, scheme: TimestampData},
		{name: "upper-case hex", signed: flockBody, scheme: Payload, header: func(s string) []string { return []string{strings.ToUpper(s)} }},
		{name: "scheme not allowed: payload", signed: flockBody, scheme: Payload, set: TimestampData, want: WrongSignature},
		{name: "scheme not allowed: timestamp-data", signed: flockBody, scheme: TimestampData, set: Payload, want: WrongSignature},
		{name: "no header", signed: flockBody, scheme: Payload, header: func(string) []string { return nil }, want: NoSignature},
		{name: "empty header", signed: flockBody, scheme: Payload, header: func(string) []string { return []string{""} }, want: NoSignature},
		{name: "two headers", signed: flockBody, scheme: Payload, header: func(s string) []string { return []string{s, s} }, want: ManySignatures},
		{name: "two in one header", signed: flockBody, scheme: Payload, header: func(s string) []string { return []string{s + "," + s} }, want: MalformedSignature},
		{name: "not hex", signed: flockBody, scheme: Payload, header: func(s string) []string { return []string{"g" + s[1:]} }, want: MalformedSignature},
		{name: "cut", signed: flockBody, scheme: Payload, header: func(s string) []string { return []string{s[:62]} }, want: MalformedSignature},
		{name: "base64", signed: flockBody, scheme: Payload, header: func(s string) []string {
			mac, _ := hex.DecodeString(s)
			return []string{base64.StdEncoding.EncodeToString(mac)}
		}, want: MalformedSignature},
		{name: "other body", signed: flockBody, scheme: Payload, sent: replace(flockBody, "r1", "r2"), want: WrongSignature},
		{name: "other data", signed: flockBody, scheme: TimestampData, sent: replace(flockBody, "r1", "r2"), want: WrongSignature},
		{name: "other timestamp", signed: flockBody, scheme: TimestampData, sent: replace(flockBody, "1767323045", "1767323046"), want: WrongSignature},
		{name: "no timestamp under timestamp-data", signed: flockBody, scheme: TimestampData, sent: replace(flockBody, `,"timestamp":1767323045`, ""), want: WrongSignature},

		{name: "name of another entity", signed: flockBody, scheme: TimestampData, sent: replace(flockBody, "invitee.accepted", "referrer.accepted"), want: Contradiction},
		{name: "other entity", signed: flockBody, scheme: TimestampData, sent: replace(flockBody, `"entity":"invitee"`, `"entity":"referrer"`), want: Contradiction},
		{name: "no entity", signed: flockBody, scheme: TimestampData, sent: replace(flockBody, `"entity":"invitee",`, ""), want: Contradiction},
		{name: "other entityId", signed: flockBody, scheme: TimestampData, sent: replace(flockBody, `"entityId":"i1"`, `"entityId":"i2"`), want: Contradiction},
		{name: "no entityId", signed: flockBody, scheme: TimestampData, sent: replace(flockBody, `"entityId":"i1",`, ""), want: Contradiction},
		{
			name: "entity and name that data has not", signed: flockBody, scheme: TimestampData,
			sent: replace(replace(flockBody, `"invitee.accepted"`, `"campaign.launched"`), `"entity":"invitee"`, `"entity":"campaign"`),
		},
		{name: "payload may say what it likes", signed: replace(flockBody, "invitee.accepted", "referrer.visited"), scheme: Payload},

		{name: "no name", signed: replace(flockBody, `"name":"invitee.accepted",`, ""), scheme: Payload, want: Unreadable},
		{name: "empty name", signed: replace(flockBody, "invitee.accepted", ""), scheme: Payload, want: Unreadable},
		{name: "name is a number", signed: replace(flockBody, `"invitee.accepted"`, "5"), scheme: Payload, want: Unreadable},
		{name: "no name under timestamp-data", signed: flockBody, scheme: TimestampData, sent: replace(flockBody, `"name":"invitee.accepted",`, ""), want: Unreadable},
		{name: "no timestamp", signed: replace(flockBody, `,"timestamp":1767323045`, ""), scheme: Payload, want: Unreadable},
		{name: "timestamp is text", signed: replace(flockBody, "1767323045", `"1767323045"`), scheme: Payload, want: Unreadable},
		{name: "timestamp is text, signed", signed: replace(flockBody, "1767323045", `"1767323045"`), scheme: TimestampData, want: Unreadable},
		{name: "timestamp is null", signed: replace(flockBody, "1767323045", "null"), scheme: Payload, want: Unreadable},
		{name: "timestamp is past the doubles", signed: replace(flockBody, "1767323045", "1e999"), scheme: Payload, want: Unreadable},
		{name: "timestamp is an object", signed: replace(flockBody, "1767323045", "{}"), scheme: TimestampData, want: WrongSignature},
		{name: "data is no object", signed: `{"name":"a.b","entity":"a","data":[],"timestamp":1767323045}`, scheme: TimestampData, want: WrongSignature},
		{name: "payload without data", signed: `{"name":"a.b","timestamp":1767323045}`, scheme: Payload},

		{name: "5 minutes old", signed: replace(flockBody, "1767323045", "1767322745"), scheme: Payload},
		{name: "older", signed: replace(flockBody, "1767323045", "1767322744.9"), scheme: Payload, want: Stale},
		{name: "5 minutes ahead", signed: replace(flockBody, "1767323045", "1767323345"), scheme: Payload},
		{name: "further ahead", signed: replace(flockBody, "1767323045", "1767323345.1"), scheme: Payload, want: Future},
		{name: "milliseconds", signed: replace(flockBody, "1767323045", "1767323045000"), scheme: Payload, want: Future},
		{name: "the greatest double", signed: replace(flockBody, "1767323045", "1.7976931348623157e308"), scheme: Payload, want: Future},
		{name: "the least double", signed: replace(flockBody, "1767323045", "-1.7976931348623157e308"), scheme: Payload, want: Stale},
	} {
		t.Run(test.name, func(t *testing.T) {
			vendor := parse(t, test.signed)
			parts := [][]byte{vendor}
			if test.scheme == TimestampData {
				parts = [][]byte{vendor.Member("timestamp"), vendor.Member("data")}
			}
			header := []string{hex.EncodeToString(Sum(right, parts...))}
			if test.header != nil {
				header = test.header(header[0])
			}
			r := Request{
				Body: vendor, Signatures: header, Secrets: []secret.Secret{right},
				Scheme: Auto, Tolerance: Flock.Tolerance, Now: now,
			}
			if test.set != "" {
				r.Scheme = test.set
			}
			if test.sent != "" {
				r.Body = parse(t, test.sent)
			}
			refuses(t, Flock, r, test.want)
		})
	}
}

func TestFrigade(t *testing.T) {
	member := func(s string) string { return replace(frigade, `{"type"`, `{"signature":"`+s+`","type"`) }
	for _, test := range []struct {
		name      string
		signed    string
		scheme    string // Data unless set
		freshness string
		sent      string
		send      func(r *Request, mac []byte) // changes header or body
		want      error
	}{
		{name: "data, hex", signed: frigade},
		{name: "base64, padded", signed: frigade, send: header(base64.StdEncoding)},
		{name: "base64, unpadded", signed: frigade, send: header(base64.RawStdEncoding)},
		{name: "base64, URL", signed: frigade, send: header(base64.URLEncoding)},
		{name: "base64, URL, unpadded", signed: frigade, send: header(base64.RawURLEncoding)},
		{name: "base64 with a line break", signed: frigade, want: MalformedSignature, send: func(r *Request, mac []byte) {
			r.Signatures = []string{base64.RawStdEncoding.EncodeToString(mac) + "\n"}
		}},
		{name: "member", signed: frigade, send: func(r *Request, mac []byte) {
			r.Signatures, r.Body = nil, parse(t, member(hex.EncodeToString(mac)))
		}},
		{name: "member matches, header doesn't", signed: frigade, send: func(r *Request, mac []byte) {
			r.Signatures, r.Body = []string{strings.Repeat("0", 64)}, parse(t, member(base64.StdEncoding.EncodeToString(mac)))
		}},
		{name: "header matches, member doesn't", signed: frigade, send: func(r *Request, _ []byte) {
			r.Body = parse(t, member("x"))
		}},
		{name: "neither matches", signed: frigade, want: WrongSignature, send: func(r *Request, _ []byte) {
			r.Signatures, r.Body = []string{strings.Repeat("0", 64)}, parse(t, member(strings.Repeat("1", 64)))
		}},
		{name: "no signature", signed: frigade, want: NoSignature, send: func(r *Request, _ []byte) { r.Signatures = nil }},
		{name: "member is no text", signed: frigade, want: NoSignature, send: func(r *Request, _ []byte) {
			r.Signatures, r.Body = nil, parse(t, replace(frigade, `{"type"`, `{"signature":null,"type"`))
		}},
		{name: "undecodable", signed: frigade, want: MalformedSignature, send: func(r *Request, _ []byte) { r.Signatures = []string{"sha256=00"} }},
		{name: "two headers", signed: frigade, want: ManySignatures, send: func(r *Request, _ []byte) { r.Signatures = append(r.Signatures, r.Signatures[0]) }},

		{name: "payload", signed: frigade, scheme: Payload},
		{name: "payload, not by the member", signed: frigade, scheme: Payload, want: NoSignature, send: func(r *Request, mac []byte) {
			r.Signatures, r.Body = nil, parse(t, member(hex.EncodeToString(mac)))
		}},
		{name: "data replayed as payload", signed: frigade, scheme: Payload, want: UnsignableDataShape, send: func(r *Request, mac []byte) {
			r.Signatures = []string{hex.EncodeToString(Sum(right, r.Body.Member("data")))}
			r.Body = r.Body.Member("data")
		}},
		{name: "signed data under payload", signed: frigade, scheme: Payload, want: WrongSignature, send: func(r *Request, _ []byte) {
			r.Signatures = []string{hex.EncodeToString(Sum(right, r.Body.Member("data")))}
		}},
		{name: "signed payload under data", signed: frigade, want: WrongSignature, send: func(r *Request, _ []byte) {
			r.Signatures = []string{hex.EncodeToString(Sum(right, r.Body))}
		}},

		{name: "no data", signed: `{"type":"a.b","time":"2026-01-02T03:04:05Z"}`, want: UnsignableDataShape},
		{name: "empty data", signed: replace(frigade, frigade[strings.Index(frigade, `{"id"`):len(frigade)-1], "{}"), want: UnsignableDataShape},
		{name: "data is text", signed: `{"type":"a.b","time":"2026-01-02T03:04:05Z","data":"{}"}`, want: UnsignableDataShape},

		{name: "type changed", signed: frigade, sent: replace(frigade, "completedStep", "startedStep"), want: Contradiction},
		{name: "type without a dot", signed: frigade, sent: replace(frigade, "flowResponse.completedStep", "completedStep"), want: Contradiction},
		{name: "type with more", signed: frigade, sent: replace(frigade, "completedStep", "completedStep.x"), want: Contradiction},
		{name: "no actionType", signed: replace(frigade, `"actionType":"COMPLETED_STEP",`, "")},
		{name: "actionType is null", signed: replace(frigade, `"COMPLETED_STEP"`, "null")},
		{name: "NOT_STARTED_FLOW", signed: replace(replace(frigade, "COMPLETED_STEP", "NOT_STARTED_FLOW"), "completedStep", "notStartedFlow")},
		{name: "contradiction that is signed", signed: replace(frigade, "completedStep", "startedStep"), scheme: Payload},

		{name: "no type", signed: replace(frigade, `"type":"flowResponse.completedStep",`, ""), want: Unreadable},
		{name: "type is an object", signed: replace(frigade, `"flowResponse.completedStep"`, "{}"), want: Unreadable},
		{name: "no time", signed: replace(frigade, `"time":"2026-01-02T03:04:05.000Z",`, ""), want: Unreadable},
		{name: "time is a number", signed: replace(frigade, `"2026-01-02T03:04:05.000Z"`, "1767323045"), want: Unreadable},
		{name: "time with a comma", signed: replace(frigade, "05.000Z", "05,000Z"), want: Unreadable},
		{name: "time without a zone", signed: replace(frigade, "05.000Z", "05"), want: Unreadable},
		{name: "time in lower case", signed: replace(frigade, "2026-01-02T03:04:05.000Z", "2026-01-02t03:04:05z")},
		{name: "time in another zone", signed: replace(frigade, "2026-01-02T03:04:05.000Z", "2026-01-02T05:04:05+02:00")},

		{name: "24 hours old", signed: replace(frigade, "2026-01-02T03:04:05.000Z", "2026-01-01T03:04:05Z")},
		{name: "older", signed: replace(frigade, "2026-01-02T03:04:05.000Z", "2026-01-01T03:04:04Z"), want: Stale},
		{name: "5 minutes ahead", signed: replace(frigade, "2026-01-02T03:04:05.000Z", "2026-01-02T03:09:05Z")},
		{name: "further ahead", signed: replace(frigade, "2026-01-02T03:04:05.000Z", "2026-01-02T03:09:06Z"), want: Future},
		{name: "time renewed, createdAt is old", signed: replace(frigade, "03:04:04.900Z", "03:04:04.900-25:00"), want: Unreadable},
		{name: "createdAt is old", signed: replace(frigade, `"2026-01-02T03:04:04.900Z"`, `"2026-01-01T03:04:04Z"`), want: Stale},
		{name: "createdAt is old, time alone judged", signed: replace(frigade, `"2026-01-02T03:04:04.900Z"`, `"2026-01-01T03:04:04Z"`), freshness: FreshnessTime},
		{name: "createdAt is old, but time is signed", signed: replace(frigade, `"2026-01-02T03:04:04.900Z"`, `"2026-01-01T03:04:04Z"`), scheme: Payload},
		{name: "createdAt is far ahead", signed: replace(frigade, `"2026-01-02T03:04:04.900Z"`, `"2036-01-01T03:04:04Z"`)},
		{name: "createdAt is null", signed: replace(frigade, `"2026-01-02T03:04:04.900Z"`, `null`)},
		{name: "createdAt is no time", signed: replace(frigade, `"2026-01-02T03:04:04.900Z"`, `"yesterday"`), want: Unreadable},
	} {
		t.Run(test.name, func(t *testing.T) {
			vendor := parse(t, test.signed)
			r := Request{
				Body: vendor, Secrets: []secret.Secret{secret.New("older"), right},
				Scheme: Data, Freshness: FreshnessSigned, Tolerance: Frigade.Tolerance, Now: now,
			}
			mac := Sum(right, vendor.Member("data"))
			if test.scheme == Payload {
				r.Scheme = Payload
				mac = Sum(right, vendor)
			}
			if test.freshness != "" {
				r.Freshness = test.freshness
			}
			r.Signatures = []string{hex.EncodeToString(mac)}
			if test.sent != "" {
				r.Body = parse(t, test.sent)
			}
			if test.send != nil {
				test.send(&r, mac)
			}
			refuses(t, Frigade, r, test.want)
		})
	}
}

func header(encoding *base64.Encoding) func(*Request, []byte) {
	return func(r *Request, mac []byte) { r.Signatures = []string{encoding.EncodeToString(mac)} }
}

func parse(t *testing.T, body string) stringify.Text {
	t.Helper()
	text, err := stringify.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// refuses holds Verify to the error, and to what must follow from any: nothing is claimed without
// authentication, and no other, no empty and no missing secret verifies.
func refuses(t *testing.T, p Provider, r Request, want error) {
	t.Helper()
	c, err := p.Verify(r)
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Fatalf("Verify = %v, want %v", err, want)
	}
	authentic := err == nil || IsAuthentic(err)
	if authentic != (c.SignedText != nil) {
		t.Errorf("authentic %v, but claims are %+v", authentic, c)
	}
	if !authentic {
		return
	}
	for _, secrets := range [][]secret.Secret{nil, {}, {secret.New("")}, {{}}, {secret.New("wrong"), secret.New("")}} {
		r.Secrets = secrets
		if _, err := p.Verify(r); !errors.Is(err, WrongSignature) {
			t.Errorf("with secrets that aren't right: %v", err)
		}
	}
}

// With an empty key anybody could sign.
func TestEmptySecretVerifiesNothing(t *testing.T) {
	empty := secret.New("")
	text := parse(t, flockBody)
	_, err := Flock.Verify(Request{
		Body: text, Signatures: []string{hex.EncodeToString(Sum(empty, text))}, Secrets: []secret.Secret{empty},
		Scheme: Auto, Tolerance: Flock.Tolerance, Now: now,
	})
	if !errors.Is(err, WrongSignature) {
		t.Errorf("Verify = %v", err)
	}
}

func TestClaims(t *testing.T) {
	text := parse(t, flockBody)
	c, err := Flock.Verify(Request{
		Body: text, Signatures: []string{hex.EncodeToString(Sum(right, text))}, Secrets: []secret.Secret{right},
		Scheme: Auto, Tolerance: Flock.Tolerance, Now: now,
	})
	if err != nil || c.Name != "invitee.accepted" || c.Entity != "invitee" || c.EntityID != "i1" || c.UserID != "i1" || c.Time != "2026-01-02T03:04:05Z" || c.IDName != nil {
		t.Errorf("flock: %+v, %v", c, err)
	}
	text = parse(t, frigade)
	c, err = Frigade.Verify(Request{
		Body: text, Signatures: []string{hex.EncodeToString(Sum(right, text.Member("data")))}, Secrets: []secret.Secret{right},
		Scheme: Data, Tolerance: Frigade.Tolerance, Now: now,
	})
	if err != nil || c.Name != "flowResponse.completedStep" || c.Entity != "flowResponse" || c.EntityID != "f1" || c.UserID != "u1" || c.Time != "2026-01-02T03:04:05.000Z" || c.IDName != nil {
		t.Errorf("frigade: %+v, %v", c, err)
	}
}
