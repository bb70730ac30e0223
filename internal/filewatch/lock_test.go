//go:build unix

package filewatch

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
)

const name = "test.lock"

func TestLock(t *testing.T) {
	exclusive := func(dir string) (io.Closer, error) { return LockDir(dir, name) }
	shared := func(dir string) (io.Closer, error) { return LockDirShared(dir, name) }
	for _, test := range []struct {
		name          string
		first, second func(dir string) (io.Closer, error)
		want          error
	}{
		{"two that write", exclusive, exclusive, ErrInUse},
		{"one reads while another writes", exclusive, shared, ErrInUse},
		{"one writes while another reads", shared, exclusive, ErrInUse},
		{"two that read", shared, shared, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "b")
			made, err := LockDir(dir, name)
			if err != nil {
				t.Fatal(err)
			}
			made.Close()
			first, err := test.first(dir)
			if err != nil {
				t.Fatal(err)
			}
			second, err := test.second(dir)
			if !errors.Is(err, test.want) || err != nil && !strings.Contains(err.Error(), dir) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if err == nil {
				second.Close()
			}
			first.Close()
			again, err := test.second(dir)
			if err != nil {
				t.Fatalf("after it was given back: %v", err)
			}
			again.Close()
		})
	}
}

func TestMadeForItsOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	lock, err := LockDir(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, name): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// TestReadingMakesNothing: who only reads leaves a directory as it was.
func TestReadingMakesNothing(t *testing.T) {
	dir := t.TempDir()
	lock, err := LockDirShared(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	lock.Close()
	if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a lock file was made: %v", err)
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
	if err != nil {
		t.Fatal(err)
	}
	other := exec.Command(self, "-test.run", "^TestEndsWithTheProcess$")
	other.Env = append(os.Environ(), "DIRLOCK_DIR="+dir)
	if _, err := other.StdinPipe(); err != nil { // never closed: it waits to be killed
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked: <nil>\n" {
		t.Fatalf("the other process: %q, %v", line, err)
	}
	if _, err := LockDir(dir, name); !errors.Is(err, ErrInUse) {
		t.Errorf("while it lives: %v", err)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	lock, err := LockDir(dir, name)
	if err != nil {
		t.Fatalf("after its death: %v", err)
	}
	lock.Close()
}
