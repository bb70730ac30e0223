package cli

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

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

func printPayload(t *testing.T, p printer, subject, payload string, now time.Time) {
	e, err := event.Parse([]byte(payload))
	expect.NoError(t, err)
	p.print(subject, &e, now)
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
		{`{` + required + `,"receivedtime":"x","userid":"a\u001b[2Jb\nc\u202ed Zoë 李 🚀"}`, "x  flock.a  a�[2Jb�c�d Zoë 李 🚀  5e0c"},
	} {
		var out strings.Builder
		printPayload(t, printer{out: &out, prefix: "webhooks"}, "webhooks.flock.a", test.payload, now)
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
		printPayload(t, printer{out: &out, prefix: "webhooks", columns: columns}, "webhooks.flock.a", long, now)
		expect.Equal(t, want, out.String(), "the line in %d columns", columns)
	}
	for text, want := range map[string]string{"": "", "Zoë1": "Zoë1", "Zoë12": "Zoë…", "用户": "用户", "用户1": "用…", "e\u0301e\u0301e\u0301e\u0301e": "e\u0301e\u0301e\u0301…"} {
		expect.Equal(t, want, truncate(text, 4), "%q in 4 columns", text)
	}
	// A subject may hold anything but blanks.
	var out strings.Builder
	printPayload(t, printer{out: &out}, "webhooks.\x1b[2J", `{`+required+`,"receivedtime":"x"}`, now)
	if strings.ContainsRune(out.String(), '\x1b') {
		t.Errorf("an escape sequence is printed: %q", out.String())
	}
}

// Colours surround the text and don't change it.
func TestColours(t *testing.T) {
	const payload = `{"specversion":"1.0","id":"5e0c","source":"/webhooks/flock","type":"com.withflock.a","provider":"flock","event":"a","datacontenttype":"application/json","signed":"payload","data":{},"receivedtime":"x","subject":"invitee/\u001b[2J","userid":"c"}`
	var plain, coloured strings.Builder
	for w, colours := range map[*strings.Builder]bool{&plain: false, &coloured: true} {
		printPayload(t, printer{out: w, colours: colours}, "webhooks.flock.a", payload, time.Now())
	}
	escapes := regexp.MustCompile("\x1b\\[[0-9]+m")
	if without := escapes.ReplaceAllString(coloured.String(), ""); without != plain.String() || !escapes.MatchString(coloured.String()) {
		t.Errorf("%q, without colours %q", coloured.String(), plain.String())
	}
}

func TestSelection(t *testing.T) {
	e := event.Event{ID: "5e0c", Provider: "flock", Event: "invitee.a b", Entity: "invitee", EntityID: "c_1", Subject: "invitee/c_1", UserID: "u_1"}
	for _, test := range []struct {
		filter  selection
		matches bool
	}{
		{selection{}, true},
		{selection{users: []string{"u_1"}}, true},
		{selection{users: []string{"u_2", "u_1"}}, true},
		{selection{users: []string{"u"}}, false},
		{selection{ids: []string{"5e"}}, true},
		{selection{ids: []string{"5e0c5"}}, false},
		{selection{ids: []string{"5e"}, users: []string{"u_2"}}, false},
		{selection{providers: []string{"flock"}}, true},
		{selection{providers: []string{"frigade"}}, false},
		{selection{events: []string{"invitee.a b"}}, true},
		{selection{events: []string{"invitee.a_b"}}, true}, // as in the subject
		{selection{events: []string{"other", "invitee.*"}}, true},
		{selection{events: []string{"invitee"}}, false},
		{selection{events: []string{"*"}}, false},
		{selection{events: []string{">"}}, true},
		{selection{entities: []string{"invitee"}}, true},
		{selection{entities: []string{"invitee/c_1"}}, true},
		{selection{entities: []string{"c_1"}}, false},
		{selection{users: []string{"u_1"}, events: []string{"a"}}, false},
	} {
		expect.Equal(t, test.matches, test.filter.matches(&e), "whether %+v matches", test.filter)
	}
	for _, wrong := range []string{"--provider=flok", "--event=", "--event=a.>.b", "--entity=", "--user=", "--id=", "--since=", "--until="} {
		var stderr strings.Builder
		status := run(t.Context(), []string{"tail", wrong}, program{err: &stderr})
		flag, value, _ := strings.Cut(wrong, "=")
		if want := fmt.Sprintf("bridge: %s: got %q; takes ", flag, value); status != exitUsage || !strings.HasPrefix(stderr.String(), want) {
			t.Errorf("%s: exit status %d, %s", wrong, status, stderr.String())
		}
	}
}

// Durations before now refer to one now, whatever the order of the flags.
func TestSinceAndUntil(t *testing.T) {
	for _, args := range []string{"--since 1h --until 1h", "--until 1h --since 1h"} {
		var s selection
		c := new(cobra.Command)
		s.flags(c)
		expect.NoError(t, c.ParseFlags(strings.Fields(args)))
		expect.NoErrorf(t, s.check(nil), "tail %s", args)
		expect.Equal(t, s.since, s.until, "the times of tail %s", args)
	}
	soon := selection{since: time.Now().Add(10 * time.Second)} // by the server's clock, it is now
	expect.NoError(t, soon.check(nil))
}
