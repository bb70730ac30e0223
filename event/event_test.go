package event

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSubject(t *testing.T) {
	long := strings.Repeat("x", 198)
	for _, test := range []struct{ name, want string }{
		{"invitee.accepted", "invitee.accepted"},
		{"flowResponse.completedStep", "flowResponse.completedStep"},
		{"invitee.reward_claimed-2", "invitee.reward_claimed-2"},
		{"", "_"},
		{".", "_._"},
		{"..a", "_._.a"},
		{"a..b.", "a._.b._"},
		{"*", "_"},
		{">", "_"},
		{"a.>", "a._"},
		{"a b\tc\x00d", "a_b_c_d"},
		{"$JS.API", "_JS.API"},
		{"zoë.😀", "zo_._"},
		{"a/b:c", "a_b_c"},
		{"1.2.3.4.5.6.7.8", "1.2.3.4.5.6.7.8"},
		{"1.2.3.4.5.6.7.8.9.10", "1.2.3.4.5.6.7.8"},
		{"1.2.3.4.5.6.7..9", "1.2.3.4.5.6.7._"},
		{"1.2.3.4.5.6.7.8.", "1.2.3.4.5.6.7.8"},
		{long + "yy", long + "yy"},
		{long + "yyz", long + "yy"},
		{long + ".y", long + ".y"},
		{long + ".yz", long + ".y"},
		{long + "y.z", long + "y"}, // the dot would be the 200th byte and end the subject
		{strings.Repeat("é", 300), strings.Repeat("_", 200)},
		{"\xff\xfe.a", "__.a"},
	} {
		if got := Subject("webhooks", "flock", test.name); got != "webhooks.flock."+test.want {
			t.Errorf("Subject of %q = %s, want webhooks.flock.%s", test.name, got, test.want)
		}
	}
}

func TestNew(t *testing.T) {
	received := time.Date(2026, 1, 2, 4, 4, 5, 6_999_999, time.FixedZone("", 3600))
	e := New(Event{
		ID: "0123", Provider: "flock", Event: "invitee.accepted", Entity: "invitee", EntityID: "i\"1\\",
		UserID: "ü", Time: "2026-01-02T03:04:05Z", Signed: "payload", Data: []byte(`{"a":"<\u0000>"}`),
	}, "flock-eu", "com.withflock.", received)
	got := string(e.Encode())
	want := `{"specversion":"1.0","id":"0123","source":"/webhooks/flock-eu","type":"com.withflock.invitee.accepted","subject":"invitee/i\"1\\","time":"2026-01-02T03:04:05Z",` +
		`"datacontenttype":"application/json","provider":"flock","event":"invitee.accepted","entity":"invitee","entityid":"i\"1\\","userid":"ü",` +
		`"receivedtime":"2026-01-02T03:04:05.006Z","signed":"payload","data":{"a":"<\u0000>"}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	parsed, err := Parse([]byte(got))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(parsed, e) {
		t.Errorf("parsed %+v\nfrom   %+v", parsed, e)
	}
}

// Characters that CloudEvents doesn't allow become _ in the event's name; another attribute with
// one is left out.
func TestForbiddenCharacters(t *testing.T) {
	for _, c := range []string{"\x00", "\n", "\x1f", "\x7f", "\u0080", "\u009f", "\ufdd0", "\ufdef", "\ufffe", "\uffff", "\U0001fffe", "\U0010ffff", "\xff", "\xed\xa0\x80"} {
		e := New(Event{Event: "a" + c + "b.c", Entity: "x" + c, EntityID: "y", UserID: c}, "", "", time.Time{})
		if e.Event != "a_b.c" || e.Type != "a_b.c" || e.Entity != "" || e.Subject != "" || e.EntityID != "y" || e.UserID != "" {
			t.Errorf("with %q in each attribute: got %+v, want _ in the name, and no entity", c, e)
		}
		if text := e.Encode(); strings.Contains(string(text), `"entity"`) || strings.Contains(string(text), `"subject"`) {
			t.Errorf("with %q in each attribute: got %s, want no entity and no subject", c, text)
		}
	}
	for _, c := range []string{" ", "~", "\u00a0", "é", "\u2028", "\ufdcf", "\ufdf0", "\ufffd", "😀", "\U0010fffd"} {
		if e := New(Event{Event: c, Entity: c, EntityID: c, UserID: c}, "", "", time.Time{}); e.Event != c || e.Subject != c+"/"+c || e.UserID != c {
			t.Errorf("with %q, which is allowed: got %+v, want it in each attribute", c, e)
		}
	}
}

func TestSubjectAttributeNeedsBoth(t *testing.T) {
	for _, f := range []Event{{Entity: "a"}, {EntityID: "b"}, {}} {
		if e := New(f, "", "", time.Time{}); e.Subject != "" {
			t.Errorf("%+v: subject %q", f, e.Subject)
		}
	}
}

func TestID(t *testing.T) {
	parts := ID("flock", [][]byte{[]byte("ab"), []byte("c")}, nil)
	whole := ID("flock", [][]byte{[]byte("abc")}, nil)
	if parts != whole || len(whole) != 32 {
		t.Errorf("the id of the parts is %s, of the whole %s: want one of 32 characters", parts, whole)
	}
	// All versions must agree; these are by sha256sum.
	for want, got := range map[string]string{
		"3b53113c569b67e0ee1f53ad219d2484": ID("flock-eu", [][]byte{[]byte("abc")}, nil),
		"79623c997a27463111fa6ef1ff6a1135": ID("flock-eu", [][]byte{[]byte("abc")}, []byte("x")),
	} {
		if got != want {
			t.Errorf("the id is %s, want %s", got, want)
		}
	}
	different := map[string]bool{whole: true}
	for _, id := range []string{
		ID("flock2", [][]byte{[]byte("abc")}, nil), ID("flock", [][]byte{[]byte("abcd")}, nil),
		ID("flock", [][]byte{[]byte("abc")}, []byte{}), ID("flock", [][]byte{[]byte("abc")}, []byte("x")),
	} {
		if different[id] {
			t.Errorf("%s comes twice", id)
		}
		different[id] = true
	}
}

func TestParseRefuses(t *testing.T) {
	whole := New(Event{ID: "1", Provider: "p", Event: "n", Signed: "payload", Data: []byte("{}")}, "e", "t.", time.Time{})
	text := string(whole.Encode())
	if _, err := Parse([]byte(text)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ from, to, want string }{
		{text, "", "not a JSON object"},
		{text, "[]", "not a JSON object"},
		{`"specversion":"1.0"`, `"specversion":"0.3"`, `specversion is "0.3"`},
		{`"specversion":"1.0",`, ``, "it has no specversion"},
		{`"id":"1"`, `"ID":"1"`, "it has no id"},
		{`"id":"1"`, `"id":""`, "its id is empty"},
		{`"id":"1"`, `"id":1`, "id: json: cannot unmarshal number"},
		{`"id":"1",`, ``, "it has no id"},
		{`"source":"/webhooks/e",`, ``, "it has no source"},
		{`"type":"t.n",`, ``, "it has no type"},
		{`"provider":"p",`, ``, "it has no provider"},
		{`"event":"n",`, ``, "it has no event"},
		{`,"data":{}`, ``, "it has no data"},
	} {
		_, err := Parse([]byte(strings.Replace(text, test.from, test.to, 1)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("without %s: %v, want %q", test.from, err, test.want)
		}
	}
	if e, err := Parse([]byte(strings.Replace(text, `"data"`, `"later":"x","data"`, 1))); err != nil || e.ID != "1" {
		t.Errorf("with an attribute of a later version: %+v, %v", e, err)
	}
}

func TestEncodeIsJSON(t *testing.T) {
	e := Event{Type: "a\x01\"\\\u2028", Data: json.RawMessage(`null`)}
	var back Event
	if err := json.Unmarshal(e.Encode(), &back); err != nil || back.Type != e.Type {
		t.Errorf("%s isn't read back: %v", e.Encode(), err)
	}
}

// Member takes the exact name, even where a struct of encoding/json takes another member's value.
func TestMember(t *testing.T) {
	e := Event{Data: []byte(`{"data":{"id":"signed","Id":"other","ſ":1,"none":null},"DATA":{"id":"forged"},"name":"a.b"}`)}
	var folded struct{ Data struct{ ID string } }
	if err := json.Unmarshal(e.Data, &folded); err != nil || folded.Data.ID != "forged" {
		t.Fatalf("%+v, %v: then this method isn't needed", folded, err)
	}
	for _, test := range []struct {
		want string
		path []string
	}{
		{`"signed"`, []string{"data", "id"}},
		{`"other"`, []string{"data", "Id"}},
		{``, []string{"data", "ID"}},
		{``, []string{"data", "s"}},
		{`null`, []string{"data", "none"}},
		{``, []string{"data", "none", "id"}},
		{``, []string{"name", "id"}},
		{``, []string{"Data", "id"}},
		{``, []string{""}},
		{`"a.b"`, []string{"name"}},
		{string(e.Data), nil},
	} {
		if got := string(e.Member(test.path...)); got != test.want {
			t.Errorf("%q: %s, want %s", test.path, got, test.want)
		}
	}
	if got := (&Event{}).Member("a"); got != nil {
		t.Errorf("without data: %s", got)
	}
}
