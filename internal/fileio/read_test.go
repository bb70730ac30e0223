package fileio

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, content string) {
		t.Helper()
		expect.NoError(t, os.WriteFile(path(name), []byte(content), 0o600))
	}
	write("empty", "")
	write("whole", strings.Repeat("x", 100))
	write("larger", strings.Repeat("x", 101))
	expect.NoError(t, os.Symlink("whole", path("link")))
	expect.NoError(t, os.Symlink("nowhere", path("dangling")))
	expect.NoError(t, os.Mkdir(path("directory"), 0o700))
	for _, test := range []struct {
		name string
		size int
		err  string // its end; "" means none
	}{
		{name: "empty"},
		{name: "whole", size: 100},
		{name: "link", size: 100},
		{name: "larger", err: "larger: larger than 100 bytes"},
		{name: "missing", err: "missing: " + syscall.ENOENT.Error()},
		{name: "dangling", err: "dangling: " + syscall.ENOENT.Error()},
		{name: "directory", err: "directory: not a regular file"},
	} {
		content, err := Read(path(test.name), 100)
		if test.err == "" {
			if err != nil || len(content) != test.size {
				t.Errorf("%s: %d bytes, %v; want %d", test.name, len(content), err, test.size)
			}
			continue
		}
		var pathError *fs.PathError
		if !errors.As(err, &pathError) || !strings.HasSuffix(err.Error(), test.err) {
			t.Errorf("%s: %v, want a PathError …%s", test.name, err, test.err)
		}
	}
}
