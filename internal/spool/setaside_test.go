package spool

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

func TestAside(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	f.keeps("a", "b", "c")
	records := f.all()[:2]
	f.settle(records, map[uint64]string{records[1].Seq: "too large"})
	poll.Until(t, "settled", func() bool { return f.Len(publish.Event) == 1 })
	check := func() {
		t.Helper()
		f.holds("c")
		aside, err := f.SetAside(0, 10)
		if err != nil || len(aside) != 1 || aside[0].ID != "b" || aside[0].Reason != "too large" || !f.Holds(publish.Event, "b") {
			t.Fatalf("aside: %+v, %v", aside, err)
		}
	}
	check()
	f.close()
	f = open(t, dir)
	check()
	aside, _ := f.SetAside(0, 10)
	expect.NoError(t, f.Discard([]uint64{aside[0].Seq}))
	poll.Until(t, "discarded", func() bool { return f.Stats().SetAside == 0 })
	if f.Holds(publish.Event, "b") {
		t.Error("b is still held")
	}
}

// To discard a record that isn't set aside any more is no error, and removes no other.
func TestDiscardAgain(t *testing.T) {
	f := open(t, "spool", on(newMemory()))
	f.keeps("a", "b")
	records := f.all()
	f.settle(records, map[uint64]string{records[0].Seq: "refused", records[1].Seq: "refused"})
	aside, err := f.SetAside(0, 2)
	expect.NoError(t, err)
	expect.NoError(t, f.Discard([]uint64{aside[0].Seq}))
	expect.NoError(t, f.Discard([]uint64{aside[0].Seq}))
	expect.Equal(t, 1, f.Stats().SetAside, "records set aside")
	expect.NoError(t, f.Discard([]uint64{aside[1].Seq}))
	expect.NoError(t, f.Discard([]uint64{aside[1].Seq}))
	expect.Equal(t, 0, f.Stats().SetAside, "records set aside")
}

// During a recovery nothing is discarded, and Discard says so.
func TestDiscardDuringRecovery(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a")
	records := f.all()
	f.settle(records, map[uint64]string{records[0].Seq: "refused"})
	aside, err := f.SetAside(0, 1)
	expect.NoError(t, err)
	slow := make(chan struct{})
	m.slow.Store(&slow)
	f.recoverAgain()
	poll.Until(t, "a recovery runs", f.recovering.Load)
	expect.ErrorIs(t, errRecovering, f.Discard([]uint64{aside[0].Seq}), "the error")
	m.slow.Store(nil)
	close(slow)
	f.rests()
	expect.Equal(t, 1, f.Stats().SetAside, "records set aside")
}

// A file is removed once all its records are set aside or delivered, even if a kill came in between.
func TestFileOfRecordsSetAside(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a")
	path, _ := f.file(m)
	records := f.all()
	records[0].Reason = "refused"
	expect.NoError(t, f.move(f.journals[publish.Event], records))
	next := m.killed()
	f = open(t, "spool", on(next))
	f.holds()
	poll.Until(t, "the file is removed", func() bool { return next.killed().live[path] == nil })
	expect.Equal(t, 1, f.Stats().SetAside, "records set aside")
}

// While the disk fails no record is set aside, and none leaves the queue.
func TestAsideWhileDiskFails(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a", "b", "c")
	var fails atomic.Bool
	m.mu.Lock()
	m.fails = func(c call) error {
		if fails.Load() && c.name == "fsync" {
			return errIO
		}
		return nil
	}
	m.mu.Unlock()
	fails.Store(true)
	records := f.all()[:2]
	reasons := map[uint64]string{records[1].Seq: "too large"}
	expect.ErrorIs(t, syscall.EIO, f.Settle(publish.Event, withReasons(records, reasons)), "the error")
	f.holds("a", "b", "c")
	fails.Store(false)
	f.settle(records, reasons)
	f.holds("c")
	if aside, err := f.SetAside(0, 10); err != nil || len(aside) != 1 || aside[0].ID != "b" {
		t.Errorf("aside: %+v, %v", aside, err)
	}
}

// If the disk fails when some of the records are set aside already, the next attempt sets aside the rest,
// and none is there twice.
func TestSomeAreAsideWhenDiskFails(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", func(c *Config) { c.disk = m })
	ids := make([]string, maxRecords+3)
	reasons := make(map[uint64]string)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	f.keeps(ids...)
	records, err := f.Next(publish.Event, 0, len(ids)-1, maxBytes)
	if err != nil || len(records) != len(ids)-1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, r := range records {
		reasons[r.Seq] = "too large"
	}
	var writes atomic.Int64
	m.mu.Lock()
	m.fails = func(c call) error { // one write sets maxRecords aside, and the next one fails twice
		if c.name == "pwrite" && len(c.data) > recordHeader && len(c.data) != markBytes && writes.Add(1) > 1 && writes.Load() <= 3 {
			return errIO
		}
		return nil
	}
	m.mu.Unlock()
	if err := f.Settle(publish.Event, withReasons(records, reasons)); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	poll.Until(t, "the rest is in the queue", func() bool { return f.Len(publish.Event) == 3 && f.Stats().SetAside == maxRecords })
	f.holds(ids[maxRecords:]...)
	f.settle(records, reasons) // all again
	f.holds(ids[maxRecords+2])
	if n, found := f.Stats().SetAside, len(f.everything()); n != maxRecords+2 || found != len(ids) {
		t.Errorf("%d are set aside; %d of %d are there", n, found, len(ids))
	}
}

// A recovery may run while records are set aside. It takes those that have moved for copies, and the others
// must stay.
func TestReadAgainWhileMoving(t *testing.T) {
	for range 300 { // a few times it ends just before the others would be removed
		f := open(t, "spool", on(newMemory()))
		f.keeps("a", "b")
		records := f.all()
		f.settle(records, map[uint64]string{records[0].Seq: "refused", records[1].Seq: "refused"})
		aside, err := f.SetAside(0, 2)
		expect.NoError(t, err)
		f.mustRecover.Store(true) // once the committer has written
		_ = f.Discard([]uint64{aside[1].Seq})
		_, _ = f.SetAside(0, 2) // passes what is dropped
		f.close()
		f = open(t, "spool", func(c *Config) { *c = f.config })
		if !f.Holds(publish.Event, "a") {
			t.Fatal("a is lost")
		}
		f.close()
	}
}

// After a recovery another copy of a record may be the one that counts. Records that were read before must
// not be settled then: the copy that counts could be removed with them.
func TestReadAgainSinceListed(t *testing.T) {
	f := open(t, "spool", on(newMemory()))
	setAsides := func() []Record {
		records, err := f.SetAside(0, 10)
		expect.NoError(t, err)
		return records
	}
	aside := f.journals[setAside]
	f.keeps("a", "b")
	records := f.all()
	f.settle(records, map[uint64]string{records[0].Seq: "refused", records[1].Seq: "refused"})
	records = setAsides()
	expect.NoError(t, f.move(aside, records[:1]))
	f.readAgain() // the second copy of a doesn't count
	expect.NoError(t, f.Discard([]uint64{records[1].Seq}))
	records = setAsides() // the third one
	f.readAgain()         // now the second one counts
	expect.ErrorIs(t, errRecovering, f.Spool.settle(aside, records), "settling what was listed before")
	expect.Equal(t, []string{"a"}, idsOf(setAsides()), "set aside")
}

// While a record is set aside, a recovery finds the one in the queue damaged. Then the queue must not lose
// it from its count a second time, or the queue would seem empty too early.
func TestSetAsideDuringRecovery(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a", "b")
	expect.NoError(t, f.Append(t.Context(), numbered("q"), attempted))
	events, err := f.Next(publish.Event, 0, 1, maxBytes)
	expect.NoError(t, err)
	quarantined, err := f.Next(publish.Quarantined, 0, 1, maxBytes)
	expect.NoError(t, err)
	path := f.journals[publish.Event].all()[0].path
	slow := make(chan struct{})
	writing, queued, settled := make(chan bool), make(chan bool), make(chan error, 2)
	isFirst := true
	m.mu.Lock()
	m.fails = func(c call) error {
		if c.name == "fsync" && isFirst { // of q
			isFirst = false
			m.slow.Store(&slow)
			close(writing)
			<-queued
			file := m.live[path]
			file.live = bytes.Clone(file.live)
			file.live[recordHeader] ^= 1 // in a
			f.recoverAgain()
		}
		return nil
	}
	m.mu.Unlock()
	setAsideAll := func(records []Record) {
		for i := range records {
			records[i].Reason = "refused"
		}
		settled <- f.Settle(records[0].Kind, records)
	}
	go setAsideAll(quarantined)
	<-writing
	go setAsideAll(events)
	poll.Until(t, "a waits for the disk", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.journals[setAside].pending) == 1
	})
	close(queued)
	for range 2 {
		if err := <-settled; err != nil && !errors.Is(err, errRecovering) {
			t.Error(err)
		}
	}
	m.slow.Store(nil)
	close(slow)
	poll.Until(t, "all is read and counted again", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.recoveries == 3 && !f.recovering.Load()
	})
	f.holds("b")
	expect.Equal(t, int64(1), f.Len(publish.Event), "events in the queue")
	expect.Equal(t, int64(2), f.Stats().SetAside, "records set aside")
}
