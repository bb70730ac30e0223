//go:build unix

package fileio

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

const name = "test.lock"

func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	first, err := LockDir(dir, name)
	expect.NoError(t, err)
	if _, err := LockDir(dir, name); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("got %v", err)
	}
	expect.NoError(t, os.Remove(filepath.Join(dir, name)))
	if _, err := LockDir(dir, name); !errors.Is(err, ErrInUse) {
		t.Fatalf("after the file was removed: %v", err)
	}
	first.Close()
	again, err := LockDir(dir, name)
	expect.NoErrorf(t, err, "after it was given back")
	again.Close()
}

func TestMadeForItsOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	lock, err := LockDir(dir, name)
	expect.NoError(t, err)
	defer lock.Close()
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, name): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("the mode of %s: got %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

// TestEndsWithTheProcess locks in another process and kills it.
func TestEndsWithTheProcess(t *testing.T) {
	if dir := os.Getenv("DIRLOCK_DIR"); dir != "" { // the other process
		_, err := LockDir(dir, name)
		fmt.Fprintf(os.Stdout, "locked: %v\n", err)
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	dir := t.TempDir()
	self, err := os.Executable()
	expect.NoError(t, err)
	other := exec.Command(self, "-test.run", "^TestEndsWithTheProcess$")
	other.Env = append(os.Environ(), "DIRLOCK_DIR="+dir)
	if _, err := other.StdinPipe(); err != nil { // never closed: it waits to be killed
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	expect.NoError(t, err)
	expect.NoError(t, other.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked: <nil>\n" {
		t.Fatalf("the other process: %q, %v", line, err)
	}
	expect.ErrorIs(t, ErrInUse, expect.Err(LockDir(dir, name)), "while it lives")
	expect.NoError(t, other.Process.Kill())
	_ = other.Wait()
	lock, err := LockDir(dir, name)
	expect.NoErrorf(t, err, "after its death")
	lock.Close()
}
