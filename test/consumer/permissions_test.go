package consumer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/event/consumer"
)

// The rights in docs/consumers.md suffice for a worker to make its consumer and the stream of dead
// letters, handle events, and store dead letters.
func TestPermissions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		right   string
		filters []string
	}{
		"filter":  {"$JS.API.CONSUMER.CREATE.WEBHOOKS.rewards.webhooks.flock.>", []string{"webhooks.flock.>"}},
		"filters": {"$JS.API.CONSUMER.CREATE.WEBHOOKS.rewards", []string{"webhooks.flock.>", "webhooks.frigade.>"}},
		"all":     {"$JS.API.CONSUMER.CREATE.WEBHOOKS.rewards", nil},
	} {
		t.Run(name, func(t *testing.T) {
			n := serve(t, fmt.Sprintf(`no_auth_user: tester, authorization { users = [
				{ user: tester, password: tester }
				{ user: rewards, password: rewards, permissions {
					publish = [
						%q, "$JS.API.CONSUMER.INFO.WEBHOOKS.rewards", "$JS.API.CONSUMER.MSG.NEXT.WEBHOOKS.rewards"
						"$JS.ACK.WEBHOOKS.rewards.>", "webhooks-dead.rewards.>", "$JS.API.STREAM.CREATE.WEBHOOKS_DEAD"
					]
					subscribe = ["_INBOX.>"]
				} }
			] }`, test.right))
			total := n.publish(1, 3)
			o := consumer.Options{Filters: test.filters, MakeDeadStream: true}
			r := run(t, n.connect("rewards"), o, func(_ context.Context, m *consumer.Message) error {
				return consumer.Permanent(errors.New("no"))
			})
			eventually(t, "all are dead letters", func() bool { return n.settled("rewards") && len(n.dead()) == total })
			r.stopped()
		})
	}
}

// The log names a right that is missing for what comes later.
func TestMissingRights(t *testing.T) {
	t.Parallel()
	const conf = `no_auth_user: tester, authorization { users = [
		{ user: tester, password: tester }
		{ user: pull, password: pull, permissions { publish = { deny = ["$JS.API.CONSUMER.MSG.NEXT.>"] } } }
		{ user: dead, password: dead, permissions { publish = { deny = ["webhooks-dead.>"] } } }
	] }`
	for user, want := range map[string]string{
		"pull": `Permissions Violation for Publish to \"$JS.API.CONSUMER.MSG.NEXT.WEBHOOKS.rewards\"`,
		"dead": "so the event stays (permit its user to publish on webhooks-dead.rewards.>): nats: permissions violation",
	} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			n := serve(t, conf)
			n.publish(1, 1)
			log := &words{}
			r := run(t, n.connect(user), consumer.Options{Logger: log.logger(), MaxAttempts: 1}, func(context.Context, *consumer.Message) error {
				return errors.New("no")
			})
			eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), want) || len(r.err) > 0 })
			r.stopped()
		})
	}
}
