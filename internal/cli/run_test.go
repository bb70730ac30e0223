package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// Output that can't be written is a failure, not silence.
func TestOutputFails(t *testing.T) {
	for _, command := range []string{"version", "config"} {
		var words strings.Builder
		status := run(t.Context(), strings.Fields(command), []string{"FLOCK_SECRETS=x"}, stdio{nil, fullDisk{}, &words})
		if want := "bridge: no space left on device\n"; status != exitFailure || words.String() != want {
			t.Errorf("bridge %s: exit status %d, %q; want %d, %q", command, status, words.String(), exitFailure, want)
		}
	}
}

// Help shows an example of each command, and of each of its subcommands.
func TestHelp(t *testing.T) {
	var all func(c *cobra.Command)
	all = func(c *cobra.Command) {
		var out, words strings.Builder
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		status := run(t.Context(), args, nil, stdio{nil, &out, &words})
		if _, help, _ := strings.Cut(out.String(), "\nExamples:\n  "); status != exitOK || !strings.Contains(help, "bridge ") || words.String() != "" {
			t.Errorf("%q: exit status %d, %s%s", args, status, out.String(), words.String())
		}
		for _, under := range c.Commands() {
			all(under)
		}
	}
	all(rootCommand(nil, stdio{}))
}
