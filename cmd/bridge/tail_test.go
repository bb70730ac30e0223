package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		text string
		want time.Time // zero: from now on
	}{
		{"", time.Time{}},
		{"1h", now.Add(-time.Hour)},
		{"90m30s", now.Add(-90*time.Minute - 30*time.Second)},
		{"0s", now},
		{"2026-01-02T03:04:05Z", now},
		{"2026-01-02T03:04:05.5+01:00", now.Add(500*time.Millisecond - time.Hour)},
		{"2030-01-01T00:00:00Z", time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if got, err := parseSince(test.text, now); err != nil || !got.Equal(test.want) {
			t.Errorf("parseSince(%q) = %s, %v; want %s", test.text, got, err, test.want)
		}
	}
	for _, text := range []string{"1", "1d", "-1h", "yesterday", "2026-01-02", "2026-01-02T03:04:05", "1767323045", " 1h"} {
		want := `--since: got "` + text + `"; takes a duration such as 1h, or a time such as 2026-01-02T03:04:05Z`
		if _, err := parseSince(text, now); err == nil || err.Error() != want {
			t.Errorf("parseSince(%q): %v, want %s", text, err, want)
		}
	}
}

// Whatever the stream holds, it prints one line, which can't move the cursor.
func TestPrintEvent(t *testing.T) {
	zone := time.FixedZone("", 2*60*60)
	now := time.Date(2026, 1, 2, 0, 30, 0, 0, zone)
	const required = `"specversion":"1.0","id":"5e0c","source":"/webhooks/flock","type":"com.withflock.a","provider":"flock","event":"a","datacontenttype":"application/json","signed":"payload","data":{}`
	for _, test := range []struct{ payload, want string }{
		{
			`{` + required + `,"subject":"invitee/c_1","userid":"c_1","receivedtime":"2026-01-01T22:15:00.007Z"}`,
			"00:15:00.007  webhooks.flock.a  invitee/c_1  user c_1  id 5e0c",
		},
		{
			`{` + required + `,"subject":"invitee/c_1","receivedtime":"2026-01-01T21:59:59.999Z"}`,
			"2026-01-01 23:59:59.999  webhooks.flock.a  invitee/c_1  id 5e0c",
		},
		{`{` + required + `,"userid":"c_1","receivedtime":"lately"}`, "lately  webhooks.flock.a  user c_1  id 5e0c"},
		{`{` + required + `,"receivedtime":"x"}`, "x  webhooks.flock.a  id 5e0c"},
		{`{` + required + `}`, `webhooks.flock.a  not one of the bridge's events: reading event: it has no receivedtime`},
		{`{` + required + `,"receivedtime":"x","userid":"a\u001b[2Jb\nc\u202ed Zoë 李 🚀"}`, "x  webhooks.flock.a  user a�[2Jb�c�d Zoë 李 🚀  id 5e0c"},
		{`{"hello":"world"}`, `webhooks.flock.a  not one of the bridge's events: reading event: it has no specversion`},
		{`{"specversion":"0.3\u001b"}`, `webhooks.flock.a  not one of the bridge's events: reading event: specversion is "0.3\x1b", not "1.0"`},
		{`{"specversion":"1.0"}`, `webhooks.flock.a  not one of the bridge's events: reading event: it has no id`},
		{`[]`, `webhooks.flock.a  not one of the bridge's events: reading event: not a JSON object`},
		{``, `webhooks.flock.a  not one of the bridge's events: reading event: not a JSON object`},
		{"\x1b]0;title\a", `webhooks.flock.a  not one of the bridge's events: reading event: not a JSON object`},
	} {
		var out strings.Builder
		if err := printEvent(&out, "webhooks.flock.a", []byte(test.payload), now); err != nil {
			t.Errorf("%s: %v", test.payload, err)
		}
		if out.String() != test.want+"\n" {
			t.Errorf("%s:\n%q, want\n%q", test.payload, out.String(), test.want+"\n")
		}
	}
	// A subject may hold anything but blanks.
	var out strings.Builder
	if err := printEvent(&out, "webhooks.\x1b[2J", nil, now); err != nil || strings.ContainsRune(out.String(), '\x1b') {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// JSON stays as it is, but that it fits a line.
func TestPrintJSON(t *testing.T) {
	for _, test := range []struct{ payload, want string }{
		{`{"a": "<&>\u2028", "b":1e21}`, `{"a": "<&>\u2028", "b":1e21}`},
		{"{\r\n  \"a\": \"<&> b\",\n  \"b\": [1.0]\n}\n", `{"a":"<&> b","b":[1.0]}`},
		{"not\nJSON", "not\nJSON"},
		{"", ""},
	} {
		var out strings.Builder
		if err := printJSON(&out, []byte(test.payload)); err != nil || out.String() != test.want+"\n" {
			t.Errorf("%q: %q, %v; want %q", test.payload, out.String(), err, test.want)
		}
	}
}
