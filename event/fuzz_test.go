package event

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var subjectShape = regexp.MustCompile(`^webhooks\.flock(\.[A-Za-z0-9_-]+){1,8}$`)

// Every event name gives a valid subject to publish on: no wildcard, no other endpoint's subject,
// not too long.
func FuzzSubject(f *testing.F) {
	for _, name := range []string{"invitee.accepted", "", ".", "..", "*", "a.>", "$JS.API.>", "a b\r\nc", "1.2.3.4.5.6.7.8.9", strings.Repeat("x.", 200), strings.Repeat("é", 300), "\xff.\x00", "a.\u2028"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		subject := Subject("webhooks", "flock", name)
		if !subjectShape.MatchString(subject) || len(subject) > len("webhooks.flock.")+200 {
			t.Fatalf("Subject of %q = %q", name, subject)
		}
		// A valid name is kept, and cleaning twice changes nothing.
		part := strings.TrimPrefix(subject, "webhooks.flock.")
		if subjectShape.MatchString("webhooks.flock."+name) && len(name) <= 200 && part != name {
			t.Fatalf("%q became %q", name, part)
		}
		if again := Subject("webhooks", "flock", part); again != subject {
			t.Fatalf("%q became %q", subject, again)
		}
	})
}

// For any values from a vendor the envelope is JSON that Parse reads back unchanged, with
// attributes that CloudEvents allows and the data byte for byte.
func FuzzEnvelope(f *testing.F) {
	f.Add("invitee.accepted", "invitee", "i1", "u1", "2026-01-02T03:04:05Z", []byte(`{"a":"<\ud800\u2028>"}`))
	f.Add("\x00\u0080\ufffe", "\xff", "\"\\", "\n", "", []byte(`null`))
	f.Add("😀", "\U0010ffff", strings.Repeat("x", 1000), "\u2028", "x", []byte(`{"a":1e999}`))
	f.Fuzz(func(t *testing.T, name, entity, entityID, userID, occurred string, body []byte) {
		if !json.Valid(body) || name == "" || allowedOrNone(occurred) != occurred {
			return
		}
		body = bytes.TrimSpace(body)
		e := New(Event{
			ID: "0123", Provider: "flock", Event: name, Entity: entity, EntityID: entityID, UserID: userID, Time: occurred, Signed: "payload", Data: body,
		}, "flock", "com.withflock.", time.Unix(0, 0))
		payload := e.Encode()
		back, err := Parse(payload)
		if err != nil {
			t.Fatalf("the envelope isn't read back: %v: %q", err, payload)
		}
		if !bytes.Equal(back.Data, body) {
			t.Fatalf("data %q became %q", body, back.Data)
		}
		back.Data = e.Data
		if !bytes.Equal(back.Encode(), payload) {
			t.Fatalf("%q became %q", payload, back.Encode())
		}
		for _, text := range []string{e.Type, e.Event, e.Subject, e.Entity, e.EntityID, e.UserID} {
			if !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return !allowed(c) }) {
				t.Fatalf("the attribute %q can't be", text)
			}
		}
		if utf8.RuneCountInString(e.Event) != utf8.RuneCountInString(strings.ToValidUTF8(name, "_")) {
			t.Fatalf("%q became %q", name, e.Event)
		}
	})
}

// Parse reads or refuses any message of a stream, and an event that it has read can be printed.
func FuzzParse(f *testing.F) {
	e := New(Event{ID: "1", Provider: "p", Event: "n", Signed: "payload", Data: []byte("{}")}, "e", "t.", time.Time{})
	f.Add(e.Encode())
	f.Add([]byte(`{"specversion":"1.0"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, err := Parse(payload)
		if err != nil {
			return
		}
		again, err := Parse(e.Encode())
		if err != nil {
			t.Fatalf("what was read can't be printed: %v: %q", err, e.Encode())
		}
		if string(again.Encode()) != string(e.Encode()) {
			t.Fatalf("%q became %q", e.Encode(), again.Encode())
		}
	})
}

// Typed events accept any body: a member that is missing or of another kind is an error, and every
// member is either read or in Rest.
func FuzzTyped(f *testing.F) {
	f.Add([]byte(`{"name":"invitee.accepted","entity":"invitee","entityId":1,"data":{"campaignId":"c","invitee":{"id":1e400},"referrer":null},"timestamp":1}`))
	f.Add([]byte(`{"type":"flowResponse.x","time":"","data":{"userId":1,"data":{},"hidden":true},"user":{"id":null}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e := Event{Data: data}
		flock, err := e.Flock()
		if err == nil && (flock.Name == "" && string(e.Member("name")) != `""` || len(flock.Rest) > 0 && e.Member("name") == nil) {
			t.Fatalf("%s: %+v", data, flock)
		}
		frigade, err := e.Frigade()
		if err == nil && !strings.HasPrefix(string(e.Member("data")), "{") {
			t.Fatalf("%s: %+v", data, frigade)
		}
	})
}
