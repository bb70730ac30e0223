package cli

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/stream"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		text string
		want time.Time
	}{
		{"0001-01-01T00:00:00Z", stream.Beginning},
		{"1h", now.Add(-time.Hour)},
		{"90m30s", now.Add(-90*time.Minute - 30*time.Second)},
		{"0s", now},
		{"7d", now.Add(-7 * 24 * time.Hour)},
		{"2026-01-02T03:04:05Z", now},
		{"2026-01-02T03:04:05.5+01:00", now.Add(500*time.Millisecond - time.Hour)},
		{"2030-01-01T00:00:00Z", time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if got, err := parseTime(test.text, now); err != nil || !got.Equal(test.want) {
			t.Errorf("parseTime(%q) = %s, %v; want %s", test.text, got, err, test.want)
		}
	}
	for _, text := range []string{"", "1", "d", "-1d", "1.5d", "-1h", "yesterday", "2026-01-02", "2026-01-02T03:04:05", "1767323045", " 1h"} {
		const want = "takes a duration before now such as 1h or 7d, or a time such as 2026-01-02T03:04:05Z"
		if _, err := parseTime(text, now); err == nil || err.Error() != want {
			t.Errorf("parseTime(%q): %v, want %s", text, err, want)
		}
	}
}

func printPayload(p printer, subject, payload string, now time.Time) {
	e, err := event.Parse([]byte(payload))
	p.print(subject, &e, err, now)
}

// Any message in the stream prints as one line that can't move the cursor.
func TestPrintEvent(t *testing.T) {
	zone := time.FixedZone("", 2*60*60)
	now := time.Date(2026, 1, 2, 0, 30, 0, 0, zone)
	const required = `"specversion":"1.0","id":"5e0c","source":"/webhooks/flock","type":"com.withflock.a","provider":"flock","event":"a","datacontenttype":"application/json","signed":"payload","data":{}`
	for _, test := range []struct{ payload, want string }{
		{
			`{` + required + `,"subject":"invitee/c_1","entityid":"c_1","userid":"c_1","receivedtime":"2026-01-01T22:15:00.007Z"}`,
			"00:15:00  flock.a  c_1  5e0c",
		},
		{
			`{` + required + `,"subject":"invitee/c_1","entityid":"c_1","receivedtime":"2026-01-01T21:59:59.999Z"}`,
			"2026-01-01 23:59:59  flock.a  c_1  5e0c",
		},
		{`{` + required + `,"userid":"c_1","receivedtime":"lately"}`, "lately  flock.a  c_1  5e0c"},
		{`{` + required + `,"receivedtime":"x"}`, "x  flock.a  5e0c"},
		{`{` + required + `}`, `webhooks.flock.a  not one of the bridge's events: reading event: it has no receivedtime`},
		{`{` + required + `,"receivedtime":"x","userid":"a\u001b[2Jb\nc\u202ed Zoë 李 🚀"}`, "x  flock.a  a�[2Jb�c�d Zoë 李 🚀  5e0c"},
		{`{"hello":"world"}`, `webhooks.flock.a  not one of the bridge's events: reading event: it has no specversion`},
		{`{"specversion":"0.3\u001b"}`, `webhooks.flock.a  not one of the bridge's events: reading event: specversion is "0.3\x1b", not "1.0"`},
		{`{"specversion":"1.0"}`, `webhooks.flock.a  not one of the bridge's events: reading event: it has no id`},
		{`[]`, `webhooks.flock.a  not one of the bridge's events: reading event: not a JSON object`},
		{``, `webhooks.flock.a  not one of the bridge's events: reading event: not a JSON object`},
		{"\x1b]0;title\a", `webhooks.flock.a  not one of the bridge's events: reading event: not a JSON object`},
	} {
		var out strings.Builder
		printPayload(printer{out: &out, prefix: "webhooks"}, "webhooks.flock.a", test.payload, now)
		expect.Equal(t, test.want+"\n", out.String(), "what was printed of %s", test.payload)
	}
	// On a terminal long subjects are cut at their end.
	long := `{` + strings.Replace(required, "5e0c", "0123456789abcdef", 1) + `,"entityid":"flowResponse_uPzbTOayngU00Vzc","userid":"Zoë-12345678901234567890","receivedtime":"2026-01-01T22:15:00.007Z"}`
	for columns, want := range map[int]string{
		0:  "00:15:00  flock.a  Zoë-12345678901234567890  flowResponse_uPzbTOayngU00Vzc  01234567\n",
		80: "00:15:00  flock.a  Zoë-12345678901234567890  flowResponse_uPzbTOayngU…  01234567\n",
		30: "00:15:00  flock.a  Zoë-12345…  01234567\n",
	} {
		var out strings.Builder
		printPayload(printer{out: &out, prefix: "webhooks", columns: columns}, "webhooks.flock.a", long, now)
		expect.Equal(t, want, out.String(), "the line in %d columns", columns)
	}
	for text, want := range map[string]string{"": "", "Zoë1": "Zoë1", "Zoë12": "Zoë…", "用户": "用户", "用户1": "用…", "e\u0301e\u0301e\u0301e\u0301e": "e\u0301e\u0301e\u0301…"} {
		expect.Equal(t, want, truncate(text, 4), "%q in 4 columns", text)
	}
	// A subject may hold anything but blanks.
	var out strings.Builder
	printPayload(printer{out: &out}, "webhooks.\x1b[2J", "", now)
	if strings.ContainsRune(out.String(), '\x1b') {
		t.Errorf("an escape sequence is printed: %q", out.String())
	}
}

// JSON stays as it is, except that it fits a line.
func TestPrintJSON(t *testing.T) {
	for _, test := range []struct{ payload, want string }{
		{`{"a": "<&>\u2028", "b":1e21}`, `{"a": "<&>\u2028", "b":1e21}`},
		{"{\r\n  \"a\": \"<&> b\",\n  \"b\": [1.0]\n}\n", `{"a":"<&> b","b":[1.0]}`},
		{"not\nJSON", "not\nJSON"},
		{"", ""},
	} {
		var out strings.Builder
		printJSON(&out, []byte(test.payload))
		expect.Equal(t, test.want+"\n", out.String(), "what was printed of %q", test.payload)
	}
}

// Colours surround the text and don't change it.
func TestColours(t *testing.T) {
	const payload = `{"specversion":"1.0","id":"5e0c","source":"/webhooks/flock","type":"com.withflock.a","provider":"flock","event":"a","datacontenttype":"application/json","signed":"payload","data":{},"receivedtime":"x","subject":"invitee/\u001b[2J","userid":"c"}`
	var plain, coloured strings.Builder
	for w, colours := range map[*strings.Builder]bool{&plain: false, &coloured: true} {
		for _, text := range []string{payload, "none"} {
			printPayload(printer{out: w, colours: colours}, "webhooks.flock.a", text, time.Now())
		}
	}
	escapes := regexp.MustCompile("\x1b\\[[0-9]+m")
	if without := escapes.ReplaceAllString(coloured.String(), ""); without != plain.String() || !escapes.MatchString(coloured.String()) {
		t.Errorf("%q, without colours %q", coloured.String(), plain.String())
	}
}

func TestSelection(t *testing.T) {
	accepted := event.Event{Provider: "flock", Event: "invitee.accepted", Entity: "invitee", EntityID: "c_1", Subject: "invitee/c_1", UserID: "u_1"}
	odd := event.Event{Provider: "frigade", Event: "flowResponse.a b"}
	for _, test := range []struct {
		filter   selection
		event    event.Event
		matches  bool
		subjects string // that the server is asked for
	}{
		{selection{}, accepted, true, "webhooks.>"},
		{selection{providers: []string{"flock"}}, accepted, true, "webhooks.>"},
		{selection{providers: []string{"frigade"}}, accepted, false, "webhooks.>"},
		{selection{providers: []string{"frigade", "flock"}}, accepted, true, "webhooks.>"},
		{selection{events: []string{"invitee.accepted"}}, accepted, true, "webhooks.*.invitee.accepted"},
		{selection{events: []string{"invitee"}}, accepted, false, "webhooks.*.invitee"},
		{selection{events: []string{"invitee.*"}}, accepted, true, "webhooks.*.invitee.*"},
		{selection{events: []string{"*"}}, accepted, false, "webhooks.*.*"},
		{selection{events: []string{">"}}, accepted, true, "webhooks.*.>"},
		{selection{events: []string{"a", "invitee.accepted"}}, accepted, true, "webhooks.*.a webhooks.*.invitee.accepted"},
		{selection{events: []string{"invitee.*", "invitee.accepted"}}, accepted, true, "webhooks.>"}, // JetStream refuses what overlaps
		{selection{events: []string{"flowResponse.a b"}}, odd, true, "webhooks.*.flowResponse.a_b"},
		{selection{events: []string{"flowResponse.a_b"}}, odd, false, "webhooks.*.flowResponse.a_b"},
		{selection{events: []string{"*.a_b"}}, odd, true, "webhooks.*.*.a_b"},
		{selection{entities: []string{"invitee"}}, accepted, true, "webhooks.>"},
		{selection{entities: []string{"invitee/c_1"}}, accepted, true, "webhooks.>"},
		{selection{entities: []string{"c_1"}}, accepted, false, "webhooks.>"},
		{selection{users: []string{"u_1"}}, accepted, true, "webhooks.>"},
		{selection{users: []string{"u"}}, accepted, false, "webhooks.>"},
		{selection{users: []string{"u_1"}, events: []string{"a"}}, accepted, false, "webhooks.*.a"},
	} {
		for _, name := range test.filter.events {
			expect.Equal(t, true, isEventPattern(name), "whether %q is taken", name)
		}
		expect.Equal(t, test.matches, test.filter.matches(&test.event), "whether %+v matches %s", test.filter, test.event.Event)
		expect.Equal(t, test.subjects, strings.Join(test.filter.subjects("webhooks"), " "), "the subjects of %+v", test.filter)
	}
	for _, wrong := range []string{"--provider=flok", "--event=", "--event=a.>.b", "--event=a. .*", "--entity=", "--user=", "--id="} {
		var words strings.Builder
		status := run(t.Context(), []string{"tail", wrong}, program{err: &words})
		flag, value, _ := strings.Cut(wrong, "=")
		if want := fmt.Sprintf("bridge: %s: got %q; takes ", flag, value); status != exitUsage || !strings.HasPrefix(words.String(), want) {
			t.Errorf("%s: exit status %d, %s", wrong, status, words.String())
		}
	}
}
