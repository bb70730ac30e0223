//go:build unix

package fileio

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe without a writer and a device without an end aren't read.
func TestReadsRegularFilesOnly(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pipe, "/dev/zero"} {
		if _, err := Read(name, 100); err == nil || !strings.HasSuffix(err.Error(), name+": not a regular file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
