//go:build unix

package fileio

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// A pipe without a writer and a device without an end aren't read.
func TestReadsRegularFilesOnly(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	expect.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, name := range []string{pipe, "/dev/zero"} {
		if _, err := Read(name, 100); err == nil || !strings.HasSuffix(err.Error(), name+": not a regular file") {
			t.Errorf("%s: got the error %v, want that it isn't a regular file", name, err)
		}
	}
}
