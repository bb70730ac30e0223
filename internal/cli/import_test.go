package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/durable"
	"github.com/ade15e70/webhook-bridge/internal/spool"
)

// exported is a record's line.
func exported(t *testing.T, kind durable.Kind, id string, arrived time.Time, data string) string {
	t.Helper()
	subject := "webhooks.flock.a"
	if kind == durable.Quarantined {
		subject = "webhooks-quarantine.flock.stale"
	}
	text, err := formatRecord(&spool.Record{
		Message: durable.Message{Kind: kind, Subject: subject, ID: id, Headers: []durable.Header{{Name: "Content-Type", Value: "text/plain"}}, Data: []byte(data)},
		Arrived: arrived,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What is exported is what is imported.
func TestRecordLine(t *testing.T) {
	r := spool.Record{
		Message: durable.Message{
			Kind: durable.Quarantined, Subject: "webhooks-quarantine.flock.stale", ID: "5e0c",
			Headers: []durable.Header{{Name: "Webhook-Reason", Value: "stale"}}, Data: []byte("{\"a\": \"<\xff\n\"}"),
		},
		Arrived: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Attempted: time.Date(2026, 1, 2, 3, 4, 5, 7, time.UTC), Reason: "too large",
	}
	text, err := formatRecord(&r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseRecord(text)
	if diff := cmp.Diff(r, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	whole := `"kind":"event","subject":"a.b","id":"1","arrived":"2026-01-02T03:04:05Z","data":"e30="`
	for _, test := range []struct{ without, instead, want string }{
		{`"kind":"event"`, `"kind":"unknown"`, `kind: got "unknown"; takes event, quarantine or refused`},
		{`"subject":"a.b"`, `"subject":"a.*"`, `subject: got "a.*"; takes one to publish on`},
		{`"subject":"a.b"`, `"subject":"a.>"`, `subject: got "a.>"; takes one to publish on`},
		{`"subject":"a.b"`, `"subject":"a b"`, `subject: got "a b"; takes one to publish on`},
		{`"id":"1"`, `"id":""`, "it has no id"},
		{`"arrived":"2026-01-02T03:04:05Z",`, "", "it has no time of arrival"},
		{`"arrived":"2026-01-02T03:04:05Z"`, `"arrived":"yesterday"`, "not a record in JSON, as `bridge spool export` writes it"},
		{`"data":"e30="`, `"data":""`, "it has no data"},
		{`"data":"e30="`, `"data":"e30"`, "not a record in JSON, as `bridge spool export` writes it"},
	} {
		text := "{" + strings.Replace(whole, test.without, test.instead, 1) + "}"
		if _, err := parseRecord([]byte(text)); err == nil || err.Error() != test.want {
			t.Errorf("%s: %v, want %s", text, err, test.want)
		}
	}
}

// What NATS has refused is listed with the reason, and can't break its line.
func TestPrintRecord(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := spool.Record{Message: durable.Message{Subject: "webhooks.flock.a", ID: "5e0c", Data: []byte("{}")}, Arrived: now, Reason: "too\nlarge"}
	var people, programs bytes.Buffer
	if err := printRecord(&people, &r, now); err != nil {
		t.Fatal(err)
	}
	if err := printRecordJSON(&programs, &r, now); err != nil {
		t.Fatal(err)
	}
	if want := "03:04:05.000  event  webhooks.flock.a  2 bytes  id 5e0c  set aside: too\ufffdlarge\n"; people.String() != want {
		t.Errorf("got %q, want %q", people.String(), want)
	}
	if want := `{"kind":"event","subject":"webhooks.flock.a","id":"5e0c","arrived":"2026-01-02T03:04:05Z","bytes":2,"reason":"too\nlarge"}` + "\n"; programs.String() != want {
		t.Errorf("got %s, want %s", &programs, want)
	}
}

// A bridge's rights suffice to import. What may be a duplicate is then published, and counted.
func TestImportWithoutLookingUp(t *testing.T) {
	t.Parallel()
	o := operate(t, mayPublish)
	now := time.Now()
	var in strings.Builder
	for i := range 3 {
		in.WriteString(exported(t, durable.Event, fmt.Sprint("new", i), now, "{}"))
		in.WriteString(exported(t, durable.Event, fmt.Sprint("old", i), now.Add(-time.Hour), "{}"))
	}
	_, words := o.run(in.String(), exitOK, "spool", "import")
	if !strings.HasSuffix(words, "bridge: stream WEBHOOKS: our account may not create a consumer on the stream: what it may have already is published, and counted as possible duplicates\n"+
		"bridge: 6 stored, 0 duplicate, 0 found stored already, 3 possible duplicates, 0 failed\n") {
		t.Errorf("%s", words)
	}
}

// Thousands of records are stored once each, in order, to the kind's stream, with their headers; large ones too.
func TestImportMany(t *testing.T) {
	t.Parallel()
	const many = 2000
	o := operate(t, mayPublish, mayLookUp, mayList)
	large := strings.Repeat("x", 900<<10) // of a max_payload of 1 MiB
	var in strings.Builder
	for i := range many {
		data := fmt.Sprint(i)
		if i%100 == 0 {
			data += large
		}
		in.WriteString(exported(t, durable.Event, fmt.Sprint(i), time.Now(), data))
	}
	in.WriteString(exported(t, durable.Quarantined, "q", time.Now(), "q"))
	in.WriteString(exported(t, durable.Event, "too large", time.Now(), large+large))
	out, words := o.run(in.String(), exitFailure, "spool", "import")
	if !strings.Contains(words, fmt.Sprintf("bridge: %d stored, 0 duplicate, 0 found stored already, 0 possible duplicates, 1 failed\n", many+1)) ||
		!strings.Contains(words, "bridge: event too large: publishing: message too large for NATS: ") || !strings.Contains(words, "raise max_payload") {
		t.Errorf("%s", words)
	}
	if !strings.Contains(out, `"id":"too large"`) || strings.Count(out, "\n") != 1 {
		t.Errorf("%.200s", out)
	}
	stream, err := o.js.Stream(t.Context(), "WEBHOOKS")
	if err != nil {
		t.Fatal(err)
	}
	for i := range many {
		m, err := stream.GetMsg(t.Context(), uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		if m.Header.Get(jetstream.MsgIDHeader) != fmt.Sprint(i) || m.Header.Get("Content-Type") != "text/plain" || !bytes.HasPrefix(m.Data, []byte(fmt.Sprint(i))) {
			t.Fatalf("message %d: %v %.20s", i+1, m.Header, m.Data)
		}
	}
	if n := o.count("WEBHOOKS_QUARANTINE"); n != 1 {
		t.Errorf("%d quarantined", n)
	}
}

// After Ctrl-C the rest comes out, so that nothing is lost.
func TestImportInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	in := "not a record\n" + exported(t, durable.Event, "a", time.Now(), "{}") + exported(t, durable.Event, "b", time.Now(), "{}")
	var out, words bytes.Buffer
	i := importing{in: strings.NewReader(in), out: bufio.NewWriter(&out), words: &words}
	cancel()
	err := eachLine(iotest.OneByteReader(i.in), func(text []byte) error { return i.take(ctx, text) })
	if err == nil {
		err = i.out.Flush()
	}
	if err != nil || out.String() != in || i.untried != 3 {
		t.Errorf("%v, %d untried, %s", err, i.untried, out.String())
	}
}

// A full stream ends the trying: what is left comes out at once, and fits in as it came.
func TestImportIntoFullStream(t *testing.T) {
	t.Parallel()
	o := operate(t, mayPublish, mayLookUp)
	stream, err := o.js.Stream(t.Context(), "WEBHOOKS")
	if err != nil {
		t.Fatal(err)
	}
	c := stream.CachedInfo().Config
	c.MaxMsgs, c.Discard = 1, jetstream.DiscardNew
	if _, err := o.js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	o.put(durable.Message{Subject: "webhooks.flock.a", Data: []byte("{}")}, "x")
	var in strings.Builder
	for i := range 3 * mostAtOnce {
		in.WriteString(exported(t, durable.Event, fmt.Sprint(i), time.Now(), base64.StdEncoding.EncodeToString([]byte(fmt.Sprint(i)))))
	}
	start := time.Now()
	out, words := o.run(in.String(), exitFailure, "spool", "import")
	if out != in.String() || strings.Count(words, "giving up on every further event: ") != 1 || !strings.Contains(words, "the stream is full") {
		t.Errorf("%.1000s", words)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}
