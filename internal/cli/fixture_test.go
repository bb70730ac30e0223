package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// fixture is a NATS server with the bridge's two streams, and a user with certain rights for the commands.
type fixture struct {
	t       *testing.T
	server  *natsdtest.Server
	js      jetstream.JetStream // may do everything
	environ []string            // of the commands
}

// The rights that docs/operations.md names.
var (
	mayPublish = []string{"webhooks.>", "webhooks-quarantine.>", "$JS.API.STREAM.INFO.WEBHOOKS", "$JS.API.STREAM.INFO.WEBHOOKS_QUARANTINE"}
	mayList    = mayReadStream("WEBHOOKS_QUARANTINE")
	mayShow    = []string{"$JS.API.DIRECT.GET.WEBHOOKS_QUARANTINE"}
	mayDrop    = []string{"$JS.API.STREAM.MSG.DELETE.WEBHOOKS_QUARANTINE"}
	mayLookUp  = mayReadStream("WEBHOOKS")
)

func mayReadStream(name string) []string {
	return []string{
		"$JS.API.CONSUMER.CREATE." + name + ".>", "$JS.API.CONSUMER.MSG.NEXT." + name + ".>", "$JS.API.CONSUMER.DELETE." + name + ".>",
	}
}

// anEvent is a message of the stream.
const anEvent = `{"specversion":"1.0","id":"5e0c","source":"/webhooks/flock","type":"com.withflock.a","datacontenttype":"application/json",` +
	`"provider":"flock","event":"a","receivedtime":"2026-01-02T03:04:05.000Z","signed":"payload","later":"x","data":{}}`

func newFixture(t *testing.T, rights ...[]string) *fixture {
	t.Helper()
	var subjects []string
	for _, some := range rights {
		subjects = append(subjects, some...)
	}
	s := natsdtest.Start(t, fmt.Sprintf(`accounts { A { jetstream: enabled, users: [
		{ user: operator, password: operator }
		{ user: command, password: command, permissions { publish: { allow: ["%s"] }, subscribe: { allow: ["inbox.command.>"] } } }
	] } }`, strings.Join(subjects, `", "`)))
	f := &fixture{t: t, server: s, js: natsdtest.Connect(t, s.URL(), nats.UserInfo("operator", "operator")), environ: []string{
		"NATS_URL=" + s.URL(), "NATS_USER=command", "NATS_PASSWORD=command", "NATS_INBOX_PREFIX=inbox.command", "FLOCK_SECRETS=hush",
	}}
	for _, c := range []jetstream.StreamConfig{
		{Name: "WEBHOOKS", Subjects: []string{"webhooks.>"}, Duplicates: 65 * time.Minute, AllowDirect: true},
		{Name: "WEBHOOKS_QUARANTINE", Subjects: []string{"webhooks-quarantine.>"}, Duplicates: 100 * time.Millisecond, AllowDirect: true},
	} {
		natsdtest.CreateStream(t, f.js, c)
	}
	return f
}

// put publishes a message, once the stream has forgotten its id.
func (f *fixture) put(m publish.Message, id string) {
	f.t.Helper()
	header := nats.Header{}
	for _, h := range m.Headers {
		header.Set(h.Name, h.Value)
	}
	var options []jetstream.PublishOpt
	if id != "" {
		options = append(options, jetstream.WithMsgID(id))
	}
	if !poll.Holds(func() bool {
		ack, err := f.js.PublishMsg(f.t.Context(), &nats.Msg{Subject: m.Subject, Header: header, Data: m.Data}, options...)
		expect.NoError(f.t, err)
		return !ack.Duplicate
	}) {
		f.t.Fatal("the stream has it already")
	}
}

// count returns how many messages a stream has.
func (f *fixture) count(stream string) uint64 {
	f.t.Helper()
	s, err := f.js.Stream(f.t.Context(), stream)
	expect.NoError(f.t, err)
	return s.CachedInfo().State.Msgs
}

// run runs a command, expects that exit status, and returns standard output and standard error.
func (f *fixture) run(in string, status int, args ...string) (string, string) {
	f.t.Helper()
	var stdout, stderr bytes.Buffer
	if got := run(f.t.Context(), args, program{f.environ, strings.NewReader(in), &stdout, &stderr}); got != status {
		f.t.Fatalf("bridge %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, status, &stdout, &stderr)
	}
	return stdout.String(), stderr.String()
}

// newMsg returns a message with an id.
func newMsg(subject string, header nats.Header, id string, data []byte) *nats.Msg {
	header.Set(nats.MsgIdHdr, id)
	return &nats.Msg{Subject: subject, Header: header, Data: data}
}
