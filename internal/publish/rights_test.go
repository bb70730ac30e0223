package publish

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stream"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// account is a configuration with an operator who may do everything, and a bridge with these rights
// to publish and to subscribe.
func account(publish, subscribe []string) string {
	return fmt.Sprintf(`accounts { A { jetstream: enabled, users: [
		{ user: operator, password: operator }
		{ user: bridge, password: bridge, permissions { publish: { allow: [%s] }, subscribe: { allow: [%s] } } }
	] } }`, quoted(publish), quoted(subscribe))
}

// quoted never returns an empty list, which would allow everything.
func quoted(subjects []string) string {
	return `"` + strings.Join(append([]string{"none"}, subjects...), `", "`) + `"`
}

// The rights in the contract's section 4 suffice. If one of them is missing, an error and the log
// name it.
func TestRights(t *testing.T) {
	t.Parallel()
	publish := []string{"webhooks.>", "$JS.API.STREAM.INFO.WEBHOOKS"}
	subscribe := []string{"inbox.bridge.>"}
	without := func(rights []string, right string) []string {
		return slices.DeleteFunc(slices.Clone(rights), func(r string) bool { return r == right })
	}
	for _, test := range []struct {
		name      string
		publish   []string
		subscribe []string
		change    func(*Config)
		ready     string // the error's beginning; "": none
		publishes bool
		said      string // what the log says is forbidden
	}{
		{name: "all", publish: publish, subscribe: subscribe, publishes: true},
		{name: "all, and STREAM_MANAGE", publish: publish, subscribe: subscribe, publishes: true, change: func(c *Config) { c.Stream.Manage = true }},
		{
			name: "no publishing", publish: without(publish, "webhooks.>"), subscribe: subscribe,
			said: `permissions violation for publish to "webhooks.flock.invitee.accepted"`,
		},
		{
			name: "no asking for the stream", publish: without(publish, "$JS.API.STREAM.INFO.WEBHOOKS"), subscribe: subscribe, publishes: true,
			ready: "stream WEBHOOKS: nats: permissions violation: our account may not publish on $JS.API.STREAM.INFO.WEBHOOKS: grant it",
			said:  `permissions violation for publish to "$js.api.stream.info.webhooks"`,
		},
		{
			name: "no inbox", publish: publish, subscribe: nil,
			ready: "our account may not subscribe to inbox.bridge.>, where NATS answers",
		},
		{
			name: "an inbox of one token", publish: publish, subscribe: []string{"inbox.bridge.*"},
			ready: "our account may not subscribe to inbox.bridge.>, where NATS answers",
		},
		{
			name: "another inbox", publish: publish, subscribe: subscribe, change: func(c *Config) { c.Server.InboxPrefix = "" },
			ready: "our account may not subscribe to _INBOX.>, where NATS answers",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := natsdtest.Start(t, account(test.publish, test.subscribe))
			js := natsdtest.Connect(t, s.URL(), nats.UserInfo("operator", "operator"))
			natsdtest.CreateStream(t, js, Stream{Name: "WEBHOOKS", Prefix: "webhooks"}.Config())
			f := open(t, s.URL(), unmanaged, func(c *Config) {
				c.Server.User, c.Server.Password, c.Server.InboxPrefix = "bridge", secret.New("bridge"), "inbox.bridge"
				if !test.publishes {
					c.Timeout /= 100 // it will pass
				}
				if test.change != nil {
					test.change(c)
				}
			})
			if test.ready == "" {
				f.connected()
			} else {
				poll.Until(t, "the error", func() bool { err := f.Ready(); return err != nil && strings.Contains(err.Error(), test.ready) })
			}
			if test.publishes {
				f.stores("1")
			} else {
				want := ErrUnavailable // it looks like a time-out
				if test.ready == "" {
					want = ErrRefused // but for what the server says in passing
				}
				for range 3 { // a busy machine may learn that after the time-out
					poll.Until(t, want.Error(), func() bool { return errors.Is(expect.Err(f.publish("1")), want) })
				}
			}
			if strings.HasPrefix(test.ready, "NATS") {
				said := func() []observer.LoggedEntry { return f.logs.FilterMessage(sayUnreachable).Filter(inTime).All() }
				poll.Until(t, "the log's line", func() bool { return len(said()) > 0 })
				expect.Equal[any](t, "allow it, or set NATS_INBOX_PREFIX to the prefix that the account allows", said()[0].ContextMap()["remedy"], "the remedy")
			}
			if test.said != "" {
				poll.Until(t, "the log's line", func() bool { return f.logged(sayForbidden) > 0 })
			}
			said := f.logs.FilterMessage(sayForbidden).All()
			if test.said == "" && len(said) == 0 {
				return
			}
			if len(said) != 1 || !strings.Contains(strings.ToLower(fmt.Sprint(said[0].ContextMap())), test.said) {
				t.Errorf("logged %v, want %q once", said, test.said)
			}
		})
	}
}

// A look-up works without the right to delete a consumer.
func TestLookUpWithoutDeleting(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, account([]string{"webhooks.>", "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.MSG.NEXT.>"}, []string{"_INBOX.>"}))
	js := natsdtest.Connect(t, s.URL(), nats.UserInfo("operator", "operator"))
	natsdtest.CreateStream(t, js, Stream{Name: "WEBHOOKS", Prefix: "webhooks"}.Config())
	f := open(t, "nats://bridge:bridge@"+s.Addr(), unmanaged).connected()
	f.stores("1")
	for i := range 2 {
		found, err := f.Stored(t.Context(), Event, stream.Beginning, func(string) bool { return true })
		expect.NoError(t, err)
		expect.Equal(t, 1, len(found.IDs), "ids found")
		poll.Until(t, "deleting is refused", func() bool { return f.logged(sayForbidden) == i+1 })
	}
}

// A look-up that may create consumers, but not ask for the stream, waits for that right: without it the
// bridge isn't ready, and what it would publish might be stored twice.
func TestLookUpMayNotAsk(t *testing.T) {
	t.Parallel()
	rights := []string{"webhooks.>", "$JS.API.CONSUMER.>"}
	ready := account(append(rights, "$JS.API.STREAM.INFO.*"), []string{"_INBOX.>"})
	s := natsdtest.Start(t, ready)
	js := natsdtest.Connect(t, s.URL(), nats.UserInfo("operator", "operator"))
	natsdtest.CreateStream(t, js, Stream{Name: "WEBHOOKS", Prefix: "webhooks"}.Config())
	f := open(t, "nats://bridge:bridge@"+s.Addr(), unmanaged).connected()
	s.Reload(account(rights, []string{"_INBOX.>"}))
	ended := make(chan error, 1)
	go func() {
		ended <- expect.Err(f.Stored(t.Context(), Event, stream.Beginning, func(string) bool { return true }))
	}()
	poll.Until(t, "forbidden", func() bool { return f.logged(sayForbidden) == 1 })
	s.Reload(ready)
	expect.NoError(t, <-ended)
}

// A right that is granted later is used without a restart.
func TestRightsAreGranted(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, account(nil, []string{"_INBOX.>"}))
	js := natsdtest.Connect(t, s.URL(), nats.UserInfo("operator", "operator"))
	natsdtest.CreateStream(t, js, Stream{Name: "WEBHOOKS", Prefix: "webhooks"}.Config())
	f := open(t, "nats://bridge:bridge@"+s.Addr(), unmanaged)
	poll.Until(t, "forbidden", func() bool { return f.logged(sayForbidden) == 1 })
	s.Reload(account([]string{"webhooks.>", "$JS.API.STREAM.INFO.WEBHOOKS"}, []string{"_INBOX.>"}))
	f.connected().stores("1")
}

// The stream is missing and the account may not make it.
func TestMayNotMakeStream(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, account([]string{"webhooks.>", "$JS.API.STREAM.INFO.WEBHOOKS"}, []string{"_INBOX.>"}))
	f := open(t, "nats://bridge:bridge@"+s.Addr())
	poll.Until(t, "forbidden", func() bool { return f.logged(sayForbidden) == 1 })
	poll.Until(t, "the error", func() bool {
		err := f.Ready()
		return err != nil && strings.HasPrefix(err.Error(), "stream WEBHOOKS: nats: permissions violation: our account may not publish on $JS.API.STREAM.CREATE.WEBHOOKS: grant it")
	})
	expect.ErrorIs(t, ErrUnavailable, expect.Err(f.publish("1")), "publishing")
}

// The account may not change the streams: they are used as they are.
func TestMayNotChangeStream(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, account([]string{"webhooks.>", "webhooks-quarantine.>", "$JS.API.STREAM.INFO.*"}, []string{"_INBOX.>"}))
	js := natsdtest.Connect(t, s.URL(), nats.UserInfo("operator", "operator"))
	makeStreams(t, js)
	f := open(t, "nats://bridge:bridge@"+s.Addr(), quarantined, func(c *Config) {
		c.Stream.Explicit.Duplicates, c.Quarantine.Explicit.Duplicates = true, true
		c.Quarantine.Duplicates = 25 * time.Hour
	}).connected()
	f.stores("1")
	poll.Until(t, "ready", func() bool { return f.Publisher.Ready(Refused) == nil })
	f.takes(Stored, kept(Refused, "2", 10))
}

// A command whose account may not subscribe to the inbox fails at once, rather than waiting for an
// answer.
func TestCommandWithoutInbox(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, account(nil, []string{"inbox.bridge.>"}))
	server := Server{URL: s.URL(), User: "bridge", Password: secret.New("bridge"), InboxPrefix: "inbox.bridge"}
	nc, err := server.Connect()
	expect.NoError(t, err)
	nc.Close()
	server.InboxPrefix = ""
	if _, err := server.Connect(); err == nil || !strings.Contains(err.Error(), "set NATS_INBOX_PREFIX") {
		t.Errorf("another inbox: %v", err)
	}
}
