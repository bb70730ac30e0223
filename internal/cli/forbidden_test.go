package cli

import (
	"slices"
	"strings"
	"testing"
)

// NATS doesn't answer forbidden requests. The error of a command that waited in vain names the
// missing right.
func TestTailForbidden(t *testing.T) {
	o := operate(t, []string{"webhooks.>"})
	if _, words := o.run("", 1, "tail", "--follow=false"); !strings.Contains(words, "$JS.API.STREAM.INFO.WEBHOOKS") || !strings.Contains(words, "NATS_INBOX_PREFIX") {
		t.Error(words)
	}
	o.environ = slices.DeleteFunc(o.environ, func(v string) bool { return strings.HasPrefix(v, "NATS_INBOX_PREFIX=") })
	if _, words := o.run("", 1, "tail", "--follow=false"); !strings.Contains(words, "NATS_INBOX_PREFIX") {
		t.Errorf("without an inbox: %s", words)
	}
}
