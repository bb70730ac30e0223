package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// Output that can't be written is a failure, not silence.
func TestOutputFails(t *testing.T) {
	for _, command := range []string{"version", "config", "stream", "help", "stream --format json"} {
		var words strings.Builder
		status := run(t.Context(), strings.Fields(command), program{[]string{"FLOCK_SECRETS=0123456789abcdef"}, nil, fullDisk{}, &words})
		if want := "bridge: no space left on device\n"; status != exitFailure || words.String() != want {
			t.Errorf("bridge %s: exit status %d, %q; want %d, %q", command, status, words.String(), exitFailure, want)
		}
	}
}

// A command that would go on until Ctrl-C ends when its output can't be written.
func TestOutputFailsLater(t *testing.T) {
	t.Parallel()
	o := operate(t, mayPublish, mayLookUp)
	o.put(publish.Message{Subject: "webhooks.flock.a", Data: []byte(`{}`)}, "1")
	for _, command := range []string{"tail --since 1h", "tail --since 1h --json", "inspect --addr 127.0.0.1:0"} {
		var words strings.Builder
		status := run(t.Context(), strings.Fields(command), program{o.environ, nil, fullDisk{}, &words})
		if want := "bridge: no space left on device\n"; status != exitFailure || !strings.HasSuffix(words.String(), want) {
			t.Errorf("bridge %s: exit status %d, %q", command, status, words.String())
		}
	}
}

// Help shows an example of each command, and of each of its subcommands.
func TestHelp(t *testing.T) {
	var all func(c *cobra.Command)
	all = func(c *cobra.Command) {
		var out, words strings.Builder
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		status := run(t.Context(), args, program{out: &out, err: &words})
		if _, help, _ := strings.Cut(out.String(), "\nExamples:\n  "); status != exitOK || !strings.Contains(help, "bridge ") || words.String() != "" {
			t.Errorf("%q: exit status %d, %s%s", args, status, out.String(), words.String())
		}
		for _, under := range c.Commands() {
			all(under)
		}
	}
	all(rootCommand(program{}))
}
