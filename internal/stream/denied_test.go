package stream

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

func TestDenied(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		denied, request string
		want            string
	}{
		{`Publish to "$JS.API.STREAM.INFO.WEBHOOKS"`, "STREAM.INFO.WEBHOOKS.", "publish on $JS.API.STREAM.INFO.WEBHOOKS"},
		{
			`Publish to "$JS.leaf.API.CONSUMER.CREATE.WEBHOOKS.name.webhooks.>"`, "CONSUMER.CREATE.WEBHOOKS.na",
			"publish on $JS.leaf.API.CONSUMER.CREATE.WEBHOOKS.name.webhooks.>",
		},
		{`Publish to "$JS.API.CONSUMER.CREATE.WEBHOOKS.name.webhooks.>"`, "CONSUMER.CREATE.WEBHOOKS.other", ""},
		{`Publish to "$JS.API.STREAM.INFO.WEBHOOKS_QUARANTINE"`, "STREAM.INFO.WEBHOOKS.", ""},
		{`Publish to "$JS.API.CONSUMER.CREATE.WEBHOOKS.name"`, "STREAM.INFO.WEBHOOKS.", ""},
		{`Publish to "webhooks.flock.STREAM.INFO.WEBHOOKS"`, "STREAM.INFO.WEBHOOKS.", ""}, // an event
		{`Subscription to "_INBOX.a.*"`, "STREAM.INFO.WEBHOOKS.", "subscribe to _INBOX.a.*"},
	} {
		var d Denied
		before := time.Now()
		violation := fmt.Errorf("%w: Permissions Violation for %s", nats.ErrPermissionViolation, test.denied)
		for _, want := range []bool{true, false} {
			_, isNew := d.Note(violation)
			expect.Equal(t, want, isNew, "%s: whether it is new", test.denied)
		}
		requests := []string{"OTHER.", test.request}
		expect.Equal(t, test.want, d.RightFor(requests, before), "%s, %s", test.denied, test.request)
		expect.Equal(t, "", d.RightFor(requests, time.Now().Add(1)), "%s, but that was before", test.denied)
	}
}

func TestDeniedSubjects(t *testing.T) {
	t.Parallel()
	var d Denied
	before := time.Now()
	d.Note(fmt.Errorf(`%w: Permissions Violation for Publish to "webhooks.a"`, nats.ErrPermissionViolation))
	for subject, want := range map[string]bool{"webhooks.a": true, "webhooks": false, "webhooks.a.b": false} {
		expect.Equal(t, want, d.Publishing(subject, before), "%s is denied", subject)
	}
	expect.Equal(t, false, d.Publishing("webhooks.a", time.Now().Add(1)), "it was denied before")
}
