package spool

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// breaks puts a device in the place of the spool's file, under the same descriptor, and returns what puts it
// back. No write to /dev/full finds room; /dev/null takes all, and can't be synced.
func (f *fixture) breaks(device string) (mends func()) {
	f.t.Helper()
	fd := int(f.file.Load().handle.Fd())
	saved, err := unix.Dup(fd)
	if err != nil {
		f.t.Fatal(err)
	}
	other, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := unix.Dup3(int(other.Fd()), fd, unix.O_CLOEXEC); err != nil {
		f.t.Fatal(err)
	}
	_ = other.Close()
	return func() {
		if err := unix.Dup3(saved, fd, unix.O_CLOEXEC); err != nil {
			f.t.Fatal(err)
		}
		_ = unix.Close(saved)
	}
}

// filled is a spool with free pages in its file, so that a commit doesn't have to make it longer.
func filled(t *testing.T) *fixture {
	f := open(t, t.TempDir())
	f.keeps("a", "b", "c", "d")
	f.Settle(durable.Event, 1, nil)
	eventually(t, "settled", func() bool { return f.Len(durable.Event) == 3 })
	return f
}

// TestNoRoom: a write that finds no room refuses the records and keeps the file. When there is room
// again, nobody has to do anything.
func TestNoRoom(t *testing.T) {
	f := filled(t)
	file := f.file.Load()
	mends := f.breaks("/dev/full")
	err := f.Append(t.Context(), message("e"), arrived, attempted)
	if !errors.Is(err, unix.ENOSPC) || f.Holds(durable.Event, "e") {
		t.Errorf("got %v", err)
	}
	if err := f.Room(1); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("room: %v", err)
	}
	f.holds("b", "c", "d")
	f.Settle(durable.Event, 2, map[uint64]string{2: "refused"})
	if err := f.Append(t.Context(), message("f"), arrived, attempted); !errors.Is(err, unix.ENOSPC) { // together with what is owed
		t.Errorf("got %v", err)
	}
	mends()
	eventually(t, "what was owed is written", func() bool { return f.Stats().Aside == 1 && f.Room(1) == nil })
	f.keeps("e")
	f.holds("c", "d", "e")
	if f.file.Load() != file {
		t.Error("the file was given up for want of room")
	}
	if n := f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
		t.Errorf("%d errors in the log: %v", n, f.logs.All())
	}
}

// TestFailedSync: after a sync that failed the file is given up, and its records, with the one that was
// being written, are in a new one.
func TestFailedSync(t *testing.T) {
	f := filled(t)
	file := f.file.Load()
	f.breaks("/dev/null") // for good: nobody may come back to it
	f.keeps("e")
	f.holds("b", "c", "d", "e")
	if f.file.Load() == file {
		t.Error("the file is still in use")
	}
	dir := f.config.Dir
	f.close()
	f = open(t, dir)
	f.holds("b", "c", "d", "e")
}

// TestFileCutWhileOpen cuts the file of an open spool short: what was mapped is gone, and to look there
// is a fault.
func TestFileCutWhileOpen(t *testing.T) {
	f := filled(t)
	if err := os.Truncate(filepath.Join(f.config.Dir, fileName), 0); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	for range 4 {
		go func() {
			_, _ = f.Next(durable.Event, 0, 10)
			done <- struct{}{}
		}()
	}
	for range 4 {
		<-done
	}
	eventually(t, "there is a new file", func() bool {
		return f.Append(t.Context(), message("new"), arrived, attempted) == nil
	})
	f.holds("new")
	if f.logs.FilterMessageSnippet("damaged").FilterLevelExact(zapcore.ErrorLevel).Len() != 1 {
		t.Errorf("the log: %v", f.logs.All())
	}
}
