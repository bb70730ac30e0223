package publish

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stream"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// accounts is the example that operators copy.
func accounts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/nats/accounts.conf")
	expect.NoError(t, err)
	return "BRIDGE_PASSWORD: of-the-bridge\nOPERATOR_PASSWORD: of-the-operator\n" + string(text)
}

// aRight is a line of the example with a right in it.
var aRight = regexp.MustCompile(`(?m)^ +"([^"]+)"$`)

// The rights of the example are enough to deliver everything. If any one of them is missing,
// something fails, and the log names that right.
func TestExampleAccount(t *testing.T) {
	t.Parallel()
	conf := accounts(t)
	smallest, larger, _ := strings.Cut(conf, "user: bridge-lookup")
	for _, test := range []struct {
		user, text string // of the configuration, with its rights
		rights     int
		mayLookUp  bool
	}{{"bridge", smallest, 5, false}, {"bridge-lookup", larger, 17, true}} {
		rights := aRight.FindAllStringSubmatch(test.text, -1)
		if len(rights) != test.rights {
			t.Fatalf("%s has %d rights: %v", test.user, len(rights), rights)
		}
		t.Run(test.user, func(t *testing.T) {
			t.Parallel()
			f := openAs(t, test.user, conf, 20*time.Second)
			poll.Until(t, "ready", func() bool { return f.Ready() == nil && f.Publisher.Ready(Quarantined) == nil })
			if err := f.useAll(t.Context(), test.mayLookUp); err != nil {
				t.Error(err)
			}
			expect.Equal(t, 1, f.flood("refused", 1, 10), "refused deliveries kept, though asking how full it is takes no further right")
			_, err := f.Stored(t.Context(), Event, time.Time{}, func(string) bool { return true })
			if errors.Is(err, stream.ErrNoRights) == test.mayLookUp {
				t.Errorf("looking up: %v", err)
			}
			expect.ErrorIs(t, stream.ErrNoRights, expect.Err(f.Stored(t.Context(), Quarantined, time.Time{}, func(string) bool { return true })), "looking up in quarantine")
		})
		for _, right := range rights {
			if strings.Contains(right[1], ".bridge-lookup-") && !strings.HasSuffix(right[1], "-0") {
				continue // another one serves as well
			}
			t.Run(test.user+" without "+right[1], func(t *testing.T) {
				t.Parallel()
				// Nothing in its place would be an empty list, in the inbox' case, and that allows
				// everything.
				less := strings.Replace(test.text, right[0], `"nothing"`, 1)
				for _, number := range []string{"-1", "-2", "-3"} {
					less = strings.Replace(less, `"`+strings.TrimSuffix(right[1], "-0")+number+`"`, `"nothing`+number+`"`, 1)
				}
				named := strings.Replace(right[1], "bridge-lookup-0", "*", 1) // any of the four
				f := openAs(t, test.user, strings.Replace(conf, test.text, less, 1), 200*time.Millisecond)
				poll.Until(t, "an error that names the right", func() bool {
					err := f.useAll(t.Context(), test.mayLookUp)
					return err != nil && names(err.Error(), named)
				})
				if strings.Contains(strings.ToLower(named), "quarantine") {
					poll.Until(t, "an event is stored all the same", func() bool {
						return f.PublishAll(t.Context(), []Message{message("b")})[0].Err == nil
					})
				}
			})
		}
	}
}

// openAs starts a server with the configuration, makes the streams and opens a publisher as the
// example tells to.
func openAs(t *testing.T, user, conf string, timeout time.Duration) *fixture {
	t.Helper()
	s := natsdtest.Start(t, conf)
	makeStreams(t, natsdtest.Connect(t, s.URL(), nats.UserInfo("operator", "of-the-operator")))
	return open(t, s.URL(), unmanaged, quarantined, withTimeout(timeout), func(c *Config) {
		c.Server.User, c.Server.Password, c.Server.InboxPrefix = user, secret.New("of-the-bridge"), "_INBOX_bridge"
	})
}

func makeStreams(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	for name, prefix := range map[string]string{"WEBHOOKS": "webhooks", "WEBHOOKS_QUARANTINE": "webhooks-quarantine"} {
		natsdtest.CreateStream(t, js, Stream{Name: name, Prefix: prefix, Duplicates: time.Hour}.Config())
	}
}

// useAll does what a bridge does with its account. It returns what failed, and what the log says is
// forbidden.
func (f *fixture) useAll(ctx context.Context, mayLookUp bool) error {
	var all []error
	for kind, subject := range map[Kind]string{Event: "webhooks.flock.invitee.accepted", Quarantined: "webhooks-quarantine.flock.stale"} {
		if err := f.Publisher.Ready(kind); err != nil {
			all = append(all, err)
			continue
		}
		m := message("a")
		m.Kind, m.Subject = kind, subject
		if _, err := f.Publish(ctx, m); err != nil {
			all = append(all, fmt.Errorf("publishing: %w", err))
		}
		if kind != Event || !mayLookUp {
			continue
		}
		found, err := f.Stored(ctx, kind, time.Time{}, func(string) bool { return true })
		if err == nil {
			_, err = f.Info(ctx, kind)
		}
		if err != nil || found.IDs["a"] == 0 {
			all = append(all, fmt.Errorf("looking up: %v, %w", found, err))
		}
	}
	for _, entry := range f.logs.FilterMessage(sayForbidden).All() {
		all = append(all, fmt.Errorf("%s: %v", entry.Message, entry.ContextMap()))
	}
	return errors.Join(all...)
}

var violation = regexp.MustCompile(`(?i)permissions violation for (?:publish|subscription) to "([^"]+)"`)

// names reports whether an error names a subject that the right is for. The client writes it in
// lower case.
func names(text, right string) bool {
	for _, m := range violation.FindAllStringSubmatch(text, -1) {
		if natsdtest.Covers(strings.ToLower(right), strings.ToLower(m[1])) {
			return true
		}
	}
	return false
}

// A holder of the bridge's credentials can't read the quarantine, touch another's consumer, or
// change a stream; with the smallest account they can't read any stored event.
func TestWhatTheExampleAccountsMayNot(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, accounts(t))
	js := natsdtest.Connect(t, s.URL(), nats.UserInfo("operator", "of-the-operator"))
	makeStreams(t, js)
	for _, subject := range []string{"webhooks.flock.a", "webhooks-quarantine.flock.stale"} {
		expect.NoError(t, expect.Err(js.Publish(t.Context(), subject, []byte("{}"))))
	}
	expect.NoError(t, expect.Err(js.CreateConsumer(t.Context(), "WEBHOOKS", jetstream.ConsumerConfig{Durable: "theirs", AckPolicy: jetstream.AckExplicitPolicy})))
	consumer := func(streamName, name, more string) string {
		return fmt.Sprintf(`{"stream_name":%q,"config":{"name":%q,"ack_policy":"none","replay_policy":"instant","deliver_policy":"all"%s}}`, streamName, name, more)
	}
	for _, user := range []string{"bridge", "bridge-lookup"} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			a := attack(t, s.URL(), user)
			for _, try := range []struct{ subject, payload string }{
				{"$JS.API.STREAM.MSG.GET.WEBHOOKS", `{"seq":1}`},
				{"$JS.API.STREAM.MSG.GET.WEBHOOKS_QUARANTINE", `{"seq":1}`},
				{"$JS.API.DIRECT.GET.WEBHOOKS", `{"seq":1}`},
				{"$JS.API.DIRECT.GET.WEBHOOKS.webhooks.flock.a", ``},
				{"$JS.API.DIRECT.GET.WEBHOOKS_QUARANTINE", `{"seq":1}`},
				{"$JS.API.CONSUMER.CREATE.WEBHOOKS", consumer("WEBHOOKS", "", "")},
				{"$JS.API.CONSUMER.CREATE.WEBHOOKS.mine", consumer("WEBHOOKS", "mine", "")},
				{"$JS.API.CONSUMER.CREATE.WEBHOOKS.mine", consumer("WEBHOOKS", "mine", `,"deliver_subject":"theirs.too"`)},
				{"$JS.API.CONSUMER.CREATE.WEBHOOKS.theirs", consumer("WEBHOOKS", "theirs", `,"filter_subject":"webhooks.none"`)},
				{"$JS.API.CONSUMER.CREATE.WEBHOOKS.bridge-lookup-0.webhooks.>", consumer("WEBHOOKS", "bridge-lookup-0", `,"filter_subject":"webhooks.>"`)},
				{"$JS.API.CONSUMER.DURABLE.CREATE.WEBHOOKS.bridge-lookup-0", consumer("WEBHOOKS", "bridge-lookup-0", `,"durable_name":"bridge-lookup-0"`)},
				{"$JS.API.CONSUMER.CREATE.WEBHOOKS_QUARANTINE.bridge-lookup-0", consumer("WEBHOOKS_QUARANTINE", "bridge-lookup-0", "")},
				{"$JS.API.CONSUMER.CREATE.WEBHOOKS_QUARANTINE.mine", consumer("WEBHOOKS_QUARANTINE", "mine", "")},
				{"$JS.API.CONSUMER.MSG.NEXT.WEBHOOKS.theirs", `1`},
				{"$JS.API.CONSUMER.DELETE.WEBHOOKS.theirs", ``},
				{"$JS.API.CONSUMER.INFO.WEBHOOKS.theirs", ``},
				{"$JS.API.CONSUMER.LIST.WEBHOOKS", ``},
				{"$JS.API.CONSUMER.NAMES.WEBHOOKS", ``},
				{"$JS.API.CONSUMER.PAUSE.WEBHOOKS.theirs", `{"pause_until":"2999-01-01T00:00:00Z"}`},
				{"$JS.ACK.WEBHOOKS.theirs.1.1.1.1.0", `+ACK`},
				{"$JS.API.STREAM.PURGE.WEBHOOKS", ``},
				{"$JS.API.STREAM.DELETE.WEBHOOKS", ``},
				{"$JS.API.STREAM.UPDATE.WEBHOOKS", `{"name":"WEBHOOKS","subjects":["x"]}`},
				{"$JS.API.STREAM.CREATE.MINE", `{"name":"MINE","sources":[{"name":"WEBHOOKS_QUARANTINE"}]}`},
				{"$JS.API.STREAM.MSG.DELETE.WEBHOOKS", `{"seq":1}`},
				{"$JS.API.STREAM.SNAPSHOT.WEBHOOKS", `{"deliver_subject":"_INBOX_bridge.x"}`},
				{"$JS.API.STREAM.LIST", ``},
				{"$JS.API.STREAM.NAMES", ``},
				{"$JS.API.INFO", ``},
				{"theirs.too", `forged`},
			} {
				a.isRefused(try.subject, try.payload)
			}
			for _, subject := range []string{">", "webhooks.>", "webhooks-quarantine.>", "_INBOX.>", "$JS.>", "theirs.too"} {
				a.mayNotSubscribe(subject)
			}
			for _, reply := range []string{"$JS.API.STREAM.PURGE.WEBHOOKS", "$JS.ACK.WEBHOOKS.theirs.1.1.1.1.0"} { // the answer isn't a request
				expect.NoError(t, a.nc.PublishRequest("$JS.API.STREAM.INFO.WEBHOOKS", reply, nil))
				a.refusal(reply)
			}
			for _, name := range stream.LookupNames {
				if user == "bridge" {
					a.isRefused("$JS.API.CONSUMER.CREATE.WEBHOOKS."+name, consumer("WEBHOOKS", name, ""))
					a.isRefused("$JS.API.CONSUMER.CREATE.WEBHOOKS."+name, consumer("WEBHOOKS", name, `,"deliver_subject":"theirs.too"`))
					a.isRefused("$JS.API.CONSUMER.MSG.NEXT.WEBHOOKS."+name, `1`)
					a.isRefused("$JS.API.CONSUMER.DELETE.WEBHOOKS."+name, ``)
				}
			}
		})
	}
	t.Cleanup(func() {
		for _, name := range []string{"WEBHOOKS", "WEBHOOKS_QUARANTINE"} {
			found, err := js.Stream(context.Background(), name)
			if err != nil || found.CachedInfo().State.Msgs != 1 || found.CachedInfo().State.Consumers != map[string]int{"WEBHOOKS": 1}[name] {
				t.Errorf("%s was changed, %v", name, err)
			}
		}
		theirs, err := js.Consumer(context.Background(), "WEBHOOKS", "theirs")
		if err != nil || theirs.CachedInfo().Delivered.Consumer != 0 || theirs.CachedInfo().Config.FilterSubject != "" {
			t.Errorf("their consumer was touched, %v", err)
		}
	})
}

// attacker has a bridge's credentials.
type attacker struct {
	t      *testing.T
	nc     *nats.Conn
	errors chan error
}

func attack(t *testing.T, url, user string) *attacker {
	t.Helper()
	a := &attacker{t: t, errors: make(chan error, 100)}
	a.nc = natsdtest.Connect(t, url, nats.UserInfo(user, "of-the-bridge"), nats.CustomInboxPrefix("_INBOX_bridge"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { a.errors <- err })).Conn()
	return a
}

// isRefused expects the server to refuse a publish, by the subject's name.
func (a *attacker) isRefused(subject, payload string) {
	a.t.Helper()
	expect.NoError(a.t, a.nc.PublishRequest(subject, a.nc.NewInbox(), []byte(payload)))
	a.refusal(subject)
}

func (a *attacker) mayNotSubscribe(subject string) {
	a.t.Helper()
	expect.NoError(a.t, expect.Err(a.nc.SubscribeSync(subject)))
	a.refusal(subject)
}

// refusal waits for the server's error about a request.
func (a *attacker) refusal(subject string) {
	a.t.Helper()
	expect.NoError(a.t, a.nc.Flush())
	poll.Until(a.t, subject+" is refused", func() bool { return len(a.errors) > 0 }) // the handler is called after the answer to Flush
	if err := <-a.errors; !slices.Contains(strings.Fields(strings.ReplaceAll(strings.ToLower(err.Error()), `"`, " ")), strings.ToLower(subject)) {
		a.t.Errorf("%s: another one was refused: %v", subject, err)
	}
}
