package cli

import (
	"errors"
	"strings"
	"testing"
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
