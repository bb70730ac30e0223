package publish

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ade15e70/webhook-bridge/internal/durable"
	"github.com/ade15e70/webhook-bridge/internal/natsd/natsdtest"
	"github.com/ade15e70/webhook-bridge/internal/secret"
)

// accounts is the example that operators copy.
func accounts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/nats/accounts.conf")
	if err != nil {
		t.Fatal(err)
	}
	return "BRIDGE_PASSWORD: of-the-bridge\nOPERATOR_PASSWORD: of-the-operator\n" + string(text)
}

// aRight is a line of the example with a right in it.
var aRight = regexp.MustCompile(`(?m)^ +"([^"]+)"$`)

// With the rights of the example everything works, and without any one of them something doesn't, of
// which the log names the right.
func TestExampleAccount(t *testing.T) {
	t.Parallel()
	conf := accounts(t)
	rights := aRight.FindAllStringSubmatch(conf, -1)
	if len(rights) != 11 {
		t.Fatalf("the example has %d rights: %v", len(rights), rights)
	}
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		f := openAsBridge(t, conf, 20*time.Second)
		eventually(t, "ready", func() bool { return f.Ready() == nil && f.Publisher.Ready(durable.Quarantined) == nil })
		if err := f.useAll(t.Context()); err != nil {
			t.Error(err)
		}
	})
	for _, right := range rights {
		t.Run("without "+right[1], func(t *testing.T) {
			t.Parallel()
			// Nothing in its place would be an empty list, in the inbox' case, and that allows everything.
			f := openAsBridge(t, strings.Replace(conf, right[0], `"nothing"`, 1), 200*time.Millisecond)
			eventually(t, "an error that names the right", func() bool {
				err := f.useAll(t.Context())
				return err != nil && names(err.Error(), right[1])
			})
		})
	}
}

// openAsBridge starts a server with the configuration, makes the streams and opens a publisher as the
// example says.
func openAsBridge(t *testing.T, conf string, timeout time.Duration) *fixture {
	t.Helper()
	s := natsdtest.Start(t, conf)
	js := operator(t, s.URL(), nats.UserInfo("operator", "of-the-operator"))
	for name, prefix := range map[string]string{"WEBHOOKS": "webhooks", "WEBHOOKS_QUARANTINE": "webhooks-quarantine"} {
		if _, err := js.CreateStream(t.Context(), Stream{Name: name, Prefix: prefix, Duplicates: time.Hour}.Config()); err != nil {
			t.Fatal(err)
		}
	}
	return open(t, s.URL(), unmanaged, quarantined, withTimeout(timeout), func(c *Config) {
		c.Server.User, c.Server.Password, c.Server.InboxPrefix = "bridge", secret.New("of-the-bridge"), "_INBOX_bridge"
	})
}

// useAll does what a bridge does with its account, and returns what didn't work and what was said to be
// forbidden.
func (f *fixture) useAll(ctx context.Context) error {
	var all []error
	for kind, subject := range map[durable.Kind]string{durable.Event: "webhooks.flock.invitee.accepted", durable.Quarantined: "webhooks-quarantine.flock.stale"} {
		if err := f.Publisher.Ready(kind); err != nil {
			all = append(all, err)
			continue
		}
		m := message("a")
		m.Kind, m.Subject = kind, subject
		if _, err := f.Publish(ctx, m); err != nil {
			all = append(all, fmt.Errorf("publishing: %w", err))
		}
		found, err := f.Stored(ctx, kind, time.Time{}, func(string) bool { return true })
		if err != nil || !found["a"] {
			all = append(all, fmt.Errorf("looking up: %v, %w", found, err))
		}
	}
	for _, entry := range f.logs.FilterMessage(sayForbidden).All() {
		all = append(all, fmt.Errorf("%s: %v", entry.Message, entry.ContextMap()))
	}
	return errors.Join(all...)
}

var violation = regexp.MustCompile(`(?i)permissions violation for (?:publish|subscription) to "([^"]+)"`)

// names says whether an error names a subject that the right is for. The client writes it in lower
// case.
func names(text, right string) bool {
	for _, m := range violation.FindAllStringSubmatch(text, -1) {
		if natsdtest.Covers(strings.ToLower(right), strings.ToLower(m[1])) {
			return true
		}
	}
	return false
}
