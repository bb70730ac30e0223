package spool

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// file returns the path and the inode of the first file of events.
func (f *fixture) file(m *memory) (path string, i *inode) {
	path = f.journals[publish.Event].all()[0].path
	m.mu.Lock()
	defer m.mu.Unlock()
	return path, m.live[path]
}

// fails makes calls fail from now on.
func (m *memory) failsIf(fails func(c call) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails = fails
}

// killed returns the disk as the next process finds it if this one is killed now.
func (m *memory) killed() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clone()
}

// A large file is removed once all its records are settled, even if it is the active one. The next record
// goes into another file.
func TestLargeFileIsRemoved(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m), func(c *Config) { c.segmentSize = 2 * retireAt })
	expect.NoError(t, f.Append(t.Context(), long("a", make([]byte, retireAt)), attempted))
	path, _ := f.file(m)
	f.settle(f.all(), nil)
	poll.Until(t, "the file is removed", func() bool { return m.killed().live[path] == nil })
	f.keeps("b")
	f.holds("b")
}

// After a kill no delivered record comes again. After a loss of power none comes again that was delivered
// before the spool was closed.
func TestMark(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a", "b")
	f.settle(f.all()[:1], nil)
	poll.Until(t, "the mark is written", func() bool { return m.killed().live[filepath.Join("spool", markName)] != nil })
	next := m.killed()
	open(t, "spool", on(next)).holds("b")
	open(t, "spool", on(next.killed())).holds("b")
	f.close()
	f = open(t, "spool", on(m)) // makes the mark's name durable
	f.keeps("c")
	f.settle(f.all()[:1], nil)
	f.close()
	open(t, "spool", on(m.afterPowerLoss(nil))).holds("c")
}

// If a file can't be restored, the spool tries again, and leaves no file open.
func TestRestoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		f := open(t, "spool", on(m))
		f.keeps("a")
		path, _ := f.file(m)
		var failed atomic.Bool
		m.failsIf(func(c call) error {
			if c.name == "fsync" && failed.CompareAndSwap(false, true) {
				return errIO
			}
			return nil
		})
		expect.NoError(t, m.remove(path))
		time.Sleep(3 * tick)
		if !failed.Load() || m.killed().live[path] == nil {
			t.Error("it isn't there again")
		}
		f.keeps("b")
		f.close()
		expect.Equal(t, 0, m.opened.Load(), "open files")
		open(t, "spool", on(m.afterPowerLoss(nil))).holds("a", "b")
	})
}

// While the files of an earlier process can't be opened, nothing is written: new records would have lower
// numbers.
func TestFilesThatCannotBeOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		small := func(c *Config) { c.segmentSize = 1 } // a file for each record
		f := open(t, "spool", on(m), small)
		f.keeps("a", "b")
		path := f.journals[publish.Event].all()[1].path
		f.close()
		m.failsIf(func(c call) error {
			if c.name == "open" && c.path == path {
				return errIO
			}
			return nil
		})
		f = open(t, "spool", on(m), small)
		expect.ErrorIs(t, syscall.EIO, f.Append(t.Context(), message("c"), attempted), "the error")
		m.failsIf(nil)
		poll.Until(t, "they are open", func() bool { return f.Stats().Err == nil })
		if last := f.Last(); last == 0 || f.Earlier() != last {
			t.Errorf("the last record of earlier processes: got %d, want %d", f.Earlier(), last)
		}
		f.keeps("c")
		f.rests()
		f.holds("a", "b", "c")
		f.close()
		expect.Equal(t, 0, m.opened.Load(), "open files")
	})
}

// Close writes all records that wait, even if that takes several writes.
func TestCloseWritesAll(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m), large)
	writing, free := make(chan bool), make(chan bool)
	isFirst := true
	m.failsIf(func(c call) error {
		if c.name == "pwrite" && isFirst {
			isFirst = false
			writing <- true
			<-free
		}
		return nil
	})
	var all []*waiting
	for i := range 2*maxRecords + 2 {
		w, err := f.enqueue(&Record{Message: message(fmt.Sprint(i))})
		expect.NoError(t, err)
		if all = append(all, w); i == 0 {
			<-writing
		}
	}
	closed := make(chan bool)
	go func() { f.close(); close(closed) }()
	poll.Until(t, "it is being closed", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.closed })
	free <- true
	<-closed
	for _, w := range all {
		select {
		case <-w.done:
			expect.NoError(t, w.err)
		default:
			t.Fatal("a record is neither written nor refused")
		}
	}
	expect.Equal(t, 0, m.opened.Load(), "open files")
}

// The part of a record that a full disk has written is no damage to the next process.
func TestPartOfWrite(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m), large)
	f.keeps("a")
	_, i := f.file(m)
	size := len(i.live)
	m.failsIf(func(c call) error {
		if c.name == "pwrite" {
			return syscall.ENOSPC
		}
		return nil
	})
	expect.ErrorIs(t, syscall.ENOSPC, f.Append(t.Context(), message("b"), attempted), "the error")
	_, i = f.file(m)
	expect.Equal(t, size, len(i.live), "bytes in the file")
}

// The last record that this process has written to a file was acknowledged. If it can't be read any more,
// that is a loss.
func TestDamagedLastRecord(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a")
	_, i := f.file(m)
	m.mu.Lock()
	i.live = bytes.Clone(i.live)
	i.live[recordHeader] ^= 1
	m.mu.Unlock()
	f.readAgain()
	expect.Equal(t, 1, f.logs.FilterMessageSnippet("spool is damaged").Len(), "losses logged")
}

// A damaged file that ends with a probe is durable, so its records aren't written again.
func TestDamagedFileIsDurable(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a", "b")
	_, i := f.file(m)
	f.close()
	i.live = bytes.Clone(i.live)
	i.live[recordHeader] ^= 1
	f = open(t, "spool", on(m))
	f.keeps("b")
	f.holds("b")
}

// Read returns an error for a file that can't be opened, unless it was removed meanwhile.
func TestReadFails(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, nameOf("event", 1, 2))
	expect.NoError(t, os.Symlink(name, name)) // a loop
	damage, err := Read(dir, func(*Record) error { return nil })
	if err == nil || damage != nil {
		t.Errorf("got %v, %v", damage, err)
	}
}

// TestMissingFiles: if files were removed while no bridge ran, the log says which records they had.
func TestMissingFiles(t *testing.T) {
	from := func(first, last int) string {
		return fmt.Sprintf("from %016x to %016x", 1<<runBits+first, 1<<runBits+last)
	}
	for name, want := range map[string][]any{ // each file has a number, and its record the next
		"none": nil, "0": {from(0, 1)}, "1": {from(2, 3)}, "1 2": {from(2, 5)}, "0 2": {from(0, 1), from(4, 5)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "spool")
			small := func(c *Config) { c.segmentSize = 1 }
			f := open(t, dir, small)
			f.keeps("0")
			f.settle(f.all(), nil)
			f.close()
			f = open(t, dir, small)
			for i := range 4 {
				f.keeps(fmt.Sprint(i))
			}
			f.close()
			files, err := filepath.Glob(filepath.Join(dir, "*."+format))
			expect.NoError(t, err)
			for i, file := range files {
				if strings.Contains(name, fmt.Sprint(i)) {
					expect.NoError(t, os.Remove(file))
				}
			}
			f = open(t, dir)
			var got []any
			for _, line := range f.logs.FilterLevelExact(zapcore.WarnLevel).All() {
				got = append(got, line.ContextMap()["missing"].([]any)...)
			}
			expect.Equal(t, want, got, "missing numbers")
		})
	}
}

// TestSwappedFiles: files whose names were swapped can't be read, but are kept.
func TestSwappedFiles(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a")
	first := f.journals[publish.Event].all()[0].path
	f.close()
	f = open(t, "spool", on(m))
	f.keeps("b")
	second := f.journals[publish.Event].all()[1].path
	f.close()
	m.live[first], m.live[second] = m.live[second], m.live[first]
	f = open(t, "spool", on(m))
	f.holds()
	expect.Equal(t, 1, f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(), "losses logged")
	awaitRenamed(t, m, first)
	awaitRenamed(t, m, second)
}
