package relay

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// If JetStream doesn't answer, nobody must act. If a right is missing, somebody must, though the check of
// the stream times out in both cases.
func TestBlockedWithoutStream(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rights []string
		want   publish.Cause
	}{
		"JetStream is silent": {[]string{"webhooks.>", "$JS.API.STREAM.INFO.WEBHOOKS"}, publish.TimedOut},
		"a right is missing":  {[]string{"webhooks.>"}, publish.NoStream},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natsdtest.Start(t, fmt.Sprintf(`jetstream: disabled
				authorization { users: [
					{ user: silent, password: silent }
					{ user: bridge, password: bridge, permissions { publish: { allow: ["%s"] }, subscribe: { allow: ["_INBOX.>"] } } }
				] }`, strings.Join(test.rights, `", "`)))
			silent := natsdtest.Connect(t, s.URL(), nats.UserInfo("silent", "silent")).Conn()
			expect.NoError(t, expect.Err(silent.SubscribeSync("$JS.API.>")))
			expect.NoError(t, silent.Flush())
			f := start(t, s.URL(), asBridge)
			f.publishes(publish.Spooled, "a")
			poll.Until(t, "the check has failed", func() bool { return f.logged("stream is not ready") > 0 })
			expect.Equal(t, test.want, f.Blocked(publish.Event), "cause")
		})
	}
}
