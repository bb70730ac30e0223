package spool

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// If the disk fails at one start to read the end of a file, the file isn't removed.
func TestFileThatCannotBeReadOnce(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a")
	first := f.journals[0].all()[0].path
	f.close()
	m.fails = func(c call) error {
		if c.name == "pread" && len(c.data) != markBytes {
			return errIO
		}
		return nil
	}
	f = open(t, "spool", on(m))
	f.keeps("b")
	awaitRenamed(t, m, first)
	expect.Equal(t, 1, f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(), "losses logged")
}

// A record is delivered even if the disk fails once to read it.
func TestRecordThatCannotBeReadOnce(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a")
	poll.Until(t, "recovered", func() bool { return !f.recovering.Load() })
	var reads atomic.Int64 // the first is of all bytes, the second of their only page
	m.mu.Lock()
	m.fails = func(c call) error {
		if c.name == "pread" && reads.Add(1) <= 2 {
			return errIO
		}
		return nil
	}
	m.mu.Unlock()
	_, err := f.Next(publish.Event, 0, 1, maxBytes)
	expect.ErrorIs(t, errDamaged, err, "the error")
	f.readAgain()
	f.holds("a")
}

// pages returns the disk of a closed spool with nine records in one file. The third page has parts of the
// records 2 and 3.
func pages(t *testing.T) *memory {
	t.Helper()
	m := newMemory()
	f := open(t, "spool", on(m), large)
	for i := range 9 {
		expect.NoError(t, f.Append(t.Context(), long(fmt.Sprint(i), bytes.Repeat([]byte("x"), 3000)), attempted))
	}
	f.close()
	return m
}

func large(c *Config) { c.segmentSize = 100_000 }

// failPage makes reads of the third page fail while the returned number isn't zero. Each decrements it.
func failPage(m *memory, reads int64) *atomic.Int64 {
	var left atomic.Int64
	left.Store(reads)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails = func(c call) error {
		if c.name != "pread" || c.offset >= 3*page || c.offset+int64(len(c.data)) <= 2*page || left.Load() == 0 {
			return nil
		}
		left.Add(-1)
		return errIO
	}
	return &left
}

// If the disk can't read a page, only the records in it are lost, and the file is kept.
func TestUnreadablePage(t *testing.T) {
	m := pages(t)
	failPage(m, -1)
	f := open(t, "spool", on(m), large)
	path := f.journals[publish.Event].all()[0].path
	f.holds("0", "1", "4", "5", "6", "7", "8")
	f.settle(f.all(), nil)
	awaitRenamed(t, m, path)
}

// A page that a recovery could not read is delivered if it can be read later.
func TestPageThatCanBeReadAgain(t *testing.T) {
	m := pages(t)
	left := failPage(m, -1)
	f := open(t, "spool", on(m), large)
	left.Store(0)
	poll.Until(t, "all are there", func() bool { return len(f.all()) == 9 })
}

// In a damaged file, too, a record is delivered even if the disk fails once to read it.
func TestPageThatCannotBeReadOnceInDamagedFile(t *testing.T) {
	m := pages(t)
	for path, i := range m.live {
		if strings.HasSuffix(path, format) {
			i.live = bytes.Clone(i.live)
			i.live[recordHeader] ^= 1 // in 0
		}
	}
	f := open(t, "spool", on(m), large)
	failPage(m, 2) // once with all others, once alone
	_, err := f.Next(publish.Event, 0, 20, maxBytes)
	expect.ErrorIs(t, errDamaged, err, "the error")
	f.readAgain()
	f.holds("1", "2", "3", "4", "5", "6", "7", "8")
}

// The next process may be able to read a page that the disk failed to read in this one. So it reads all of
// that file again.
func TestPageThatTheNextProcessCanRead(t *testing.T) {
	m := pages(t)
	failPage(m, -1)
	f := open(t, "spool", on(m), large)
	f.settle(f.all()[:4], nil)
	f.close()
	m.fails = nil
	f = open(t, "spool", on(m))
	f.holds("0", "1", "2", "3", "4", "5", "6", "7", "8")
	f.settle(f.all(), nil)
	f.close()
	open(t, "spool", on(m)).holds()
}

// If a file can't be renamed, or the new name isn't durable, the next process reads all of it again, too.
func TestPageInFileThatCannotBeRenamed(t *testing.T) {
	for _, name := range []string{"rename", "fsyncdir"} {
		m := pages(t)
		failPage(m, -1)
		reads := m.fails
		f := open(t, "spool", on(m), large)
		f.keeps("9") // in the next file
		m.failsIf(func(c call) error {
			if c.name == name {
				return errIO
			}
			return reads(c)
		})
		f.settle(f.all(), nil)
		poll.Until(t, "it is logged", func() bool { return f.logs.FilterMessageSnippet("can't be removed").Len() > 0 })
		f.close()
		open(t, "spool", on(m.afterPowerLoss(nil)), large).holds("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
	}
}

// Once the disk works, a damaged file can be delivered from another directory, as docs/operations.md says.
func TestDamagedFileElsewhere(t *testing.T) {
	m := pages(t)
	failPage(m, -1)
	f := open(t, "spool", on(m), large)
	path := f.journals[publish.Event].all()[0].path
	f.settle(f.all(), nil)
	awaitRenamed(t, m, path)
	f.close()
	elsewhere := newMemory()
	elsewhere.live[filepath.Join("spool", filepath.Base(path))] = m.live[path+damagedSuffix]
	open(t, "spool", on(elsewhere)).holds("0", "1", "2", "3", "4", "5", "6", "7", "8")
}

// While the disk fails to read, no record counts as lost for some time, and new messages are kept.
func TestDiskThatFailsToReadForAWhile(t *testing.T) {
	m := pages(t)
	synctest.Test(t, func(t *testing.T) {
		left := failPage(m, -1)
		f := open(t, "spool", on(m), large, func(c *Config) { c.openPatience, c.ReadPatience = 0, 0 })
		if f.Len(publish.Event) == 0 || f.Len(publish.Quarantined) != 0 {
			t.Error("an event that comes now would be delivered before those, or another message behind none")
		}
		f.keeps("9")
		time.Sleep(readPatience - 2*tick)
		expect.Equal(t, []string(nil), idsOf(f.all()), "given before the disk works")
		left.Store(0)
		time.Sleep(tick)
		f.holds("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
		expect.Equal(t, 0, f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(), "losses logged")
		expect.Equal(t, 1, f.logs.FilterLevelExact(zapcore.WarnLevel).Len(), "warnings")
	})
}

// While the disk fails to read, the spool can be closed, and the next process finds all records.
func TestCloseWhileDiskFailsToRead(t *testing.T) {
	m := pages(t)
	synctest.Test(t, func(t *testing.T) {
		failPage(m, -1)
		f := open(t, "spool", on(m), large, func(c *Config) { c.openPatience, c.ReadPatience = 0, 0 })
		began := time.Now()
		f.close()
		if took := time.Since(began); took > 2*tick {
			t.Errorf("it took %v", took)
		}
		m.fails = nil
		open(t, "spool", on(m)).holds("0", "1", "2", "3", "4", "5", "6", "7", "8")
	})
}

// slowToTell is a disk whose free may be slow.
type slowToTell struct {
	*memory
	waits atomic.Pointer[chan struct{}]
}

func (d *slowToTell) free(dir string) int64 {
	if waits := d.waits.Load(); waits != nil {
		<-*waits
	}
	return d.memory.free(dir)
}

// Closing the spool doesn't give up a record that can't be read, even if the disk is slow then.
func TestSlowCloseWhileDiskFails(t *testing.T) {
	for range 20 { // the committer sees the end of the recovery by chance
		m := newMemory()
		f := open(t, "spool", on(m))
		f.keeps("a")
		f.close()
		synctest.Test(t, func(t *testing.T) {
			m.fails = func(c call) error {
				if c.name == "pread" && len(c.data) != markBytes || c.name == "pwrite" {
					return errIO
				}
				return nil
			}
			d := &slowToTell{memory: m}
			f := open(t, "spool", on(m), func(c *Config) { c.disk, c.openPatience, c.ReadPatience = d, 0, 0 })
			d.waits.Store(new(make(chan struct{})))
			time.AfterFunc(3*tick, func() { close(*d.waits.Load()) })
			expect.NoError(t, expect.Err(f.enqueue(&Record{Message: message("b")})))
			synctest.Wait()
			f.close()
			expect.Equal(t, 0, f.logs.FilterMessageSnippet("spool is damaged").Len(), "losses logged")
			m.fails = nil
			open(t, "spool", on(m)).holds("a")
		})
	}
}

// A page that can't be read is zeros, not the page that was in the buffer before.
func TestUnreadablePageIsNotAnotherOne(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m), func(c *Config) { c.segmentSize = 10 * chunk })
	records := 2 * chunk / page // each takes a page
	for i := range records {
		id := fmt.Sprintf("%03d", i)
		data := make([]byte, page)
		expect.NoError(t, f.Append(t.Context(), long(id, data[:2*page-int(sizeOf(long(id, data)))]), attempted))
	}
	expect.Equal(t, int64(records*page), f.Stats().FileBytes, "bytes")
	f.close()
	m.fails = func(c call) error {
		at := int64(chunk + 3*page)
		if c.name == "pread" && c.offset <= at && c.offset+int64(len(c.data)) > at {
			return errIO
		}
		return nil
	}
	f = open(t, "spool", on(m))
	expect.Equal(t, records-1, len(f.all()), "records")
	expect.Equal(t, 1, f.logs.FilterMessageSnippet("spool is damaged").Len(), "losses logged")
}
