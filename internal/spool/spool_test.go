package spool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tb is common to tests, benchmarks and rapid's runs.
type tb interface {
	Helper()
	Cleanup(func())
	Context() context.Context
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// fixture is a spool with its log.
type fixture struct {
	*Spool
	t    tb
	logs *observer.ObservedLogs
}

// open opens the spool in a directory.
func open(t tb, dir string, changes ...func(*Config)) *fixture {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	c := Config{Dir: dir, MaxBytes: 1 << 30, Log: zap.New(core), openPatience: time.Minute}
	for _, change := range changes {
		change(&c)
	}
	s, err := Open(c)
	expect.NoError(t, err)
	f := &fixture{s, t, logs}
	t.Cleanup(f.close)
	return f
}

func (f *fixture) close() {
	f.t.Helper()
	if err := f.Close(context.Background()); err != nil && !errors.Is(err, os.ErrClosed) {
		f.t.Errorf("Close: %v", err)
	}
}

func message(id string) publish.Message {
	return publish.Message{
		Subject: "webhooks.flock.invitee.accepted", ID: id, Data: []byte(`{"id":"` + id + `"}`),
		Headers: []publish.Header{{Name: "Content-Type", Value: "application/json"}},
		Arrived: arrived,
	}
}

// sizeOf returns how many bytes a message takes.
func sizeOf(m publish.Message) int64 {
	r := Record{Message: m, Attempted: attempted}
	return int64(len(r.append(nil, 0)))
}

var (
	arrived   = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	attempted = arrived.Add(-time.Second)
)

// keeps appends messages that must be kept.
func (f *fixture) keeps(ids ...string) {
	f.t.Helper()
	for _, id := range ids {
		expect.NoErrorf(f.t, f.Append(context.Background(), message(id), attempted), "appending %s", id)
	}
}

// holds expects the queue of events to hold exactly these.
func (f *fixture) holds(want ...string) {
	f.t.Helper()
	expect.Equal(f.t, want, idsOf(f.all()), "in the queue")
}

func (f *fixture) all() []Record {
	f.t.Helper()
	records, err := f.Next(publish.Event, 0, 1<<20, maxBytes)
	expect.NoError(f.t, err)
	return records
}

// readAgain has the spool recover again, and waits until it has.
func (f *fixture) readAgain() {
	f.t.Helper()
	recoveries := func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.recoveries
	}
	before := recoveries()
	f.recoverAgain()
	poll.Until(f.t, "reading again", func() bool { return recoveries() > before })
	f.rests()
}

// rests waits until no recovery runs, and none is requested.
func (f *fixture) rests() {
	f.t.Helper()
	poll.Until(f.t, "all is read", func() bool { return !f.mustRecover.Load() && !f.recovering.Load() })
}

// settle settles records of one kind.
func (f *fixture) settle(records []Record, reasons map[uint64]string) {
	f.t.Helper()
	expect.NoError(f.t, f.Settle(records[0].Kind, withReasons(records, reasons)))
}

// withReasons returns the records with a reason for each that is to be set aside.
func withReasons(records []Record, reasons map[uint64]string) []Record {
	records = slices.Clone(records)
	for i, r := range records {
		records[i].Reason = reasons[r.Seq]
	}
	return records
}

func idsOf(records []Record) (ids []string) {
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestFirstInFirstOut(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	f.keeps("a", "b", "c", "d")
	f.holds("a", "b", "c", "d")
	first := f.all()[0]
	want := Record{Message: message("a"), Seq: first.Seq, Attempted: attempted}
	if diff := cmp.Diff(want, first, cmpopts.IgnoreUnexported(Record{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.settle(f.all()[:2], nil)
	poll.Until(t, "two are left", func() bool { return f.Len(publish.Event) == 2 })
	f.holds("c", "d")
	f.close()
	f = open(t, dir)
	f.holds("c", "d")
	f.keeps("e")
	f.holds("c", "d", "e")
	if last := f.all(); last[2].Seq <= last[1].Seq {
		t.Errorf("a number was used again: %d", last[2].Seq)
	}
}

// Next returns records up to a number of bytes, but at least one.
func TestNextBytes(t *testing.T) {
	f := open(t, t.TempDir())
	f.keeps("a", "b", "c")
	for bytes, want := range map[int64]string{1: "a", sizeOf(message("a")): "a", 2 * sizeOf(message("a")): "a b"} {
		records, err := f.Next(publish.Event, 0, 9, bytes)
		expect.NoError(t, err)
		expect.Equal(t, want, strings.Join(idsOf(records), " "), "records")
	}
}

// A large record leaves no memory behind: its buffer would stay until the next outage of NATS.
func TestLargeRecordLeavesNoBuffer(t *testing.T) {
	f := open(t, t.TempDir())
	large := message("large")
	large.Data = make([]byte, 8<<20)
	expect.NoError(t, f.Append(t.Context(), large, attempted))
	f.settle(f.all(), nil)
	if size := cap(f.journals[publish.Event].read.buf); size > 4*chunk {
		t.Errorf("%d bytes are kept for the next read", size)
	}
}

func TestSameIDIsKeptOnce(t *testing.T) {
	f := open(t, t.TempDir())
	f.keeps("a", "a", "b", "a")
	f.holds("a", "b")
	other := message("a")
	other.Kind = publish.Quarantined
	expect.NoError(t, f.Append(t.Context(), other, attempted))
	if n := f.Len(publish.Quarantined); n != 1 {
		t.Errorf("%d in quarantine's queue: an event and a quarantined delivery with one id are two messages", n)
	}
	f.settle(f.all()[:1], nil)
	poll.Until(t, "a is gone", func() bool { return !f.Holds(publish.Event, "a") })
	f.keeps("a")
	f.holds("b", "a")
}

// A probe of the disk between the records isn't one of them, in this process and in the next one.
func TestProbe(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m), func(c *Config) { c.segmentSize = 100_000 })
	f.keeps("a")
	var fails atomic.Bool
	m.mu.Lock()
	m.fails = func(c call) error {
		if c.name == "pwrite" && fails.Load() {
			return syscall.ENOSPC
		}
		return nil
	}
	m.mu.Unlock()
	fails.Store(true)
	expect.ErrorIs(t, syscall.ENOSPC, f.Append(t.Context(), message("refused"), attempted), "the error")
	fails.Store(false)
	before := f.Stats().FileBytes
	poll.Until(t, "probed", func() bool { return f.Stats().Err == nil })
	expect.Equal(t, before+recordHeader, f.Stats().FileBytes, "bytes")
	f.keeps("b")
	check := func() {
		t.Helper()
		f.holds("a", "b")
		if n := len(f.journals[0].all()); n != 1 {
			t.Errorf("%d segments, so the probe isn't between the records", n)
		}
		for _, entry := range f.logs.All() {
			if strings.Contains(entry.Message, "damaged") {
				t.Errorf("logged %v", entry)
			}
		}
	}
	check()
	f.close()
	f = open(t, "spool", on(m))
	check()
}

func TestBounds(t *testing.T) {
	size := sizeOf(message("a"))
	f := open(t, t.TempDir(), func(c *Config) { c.MaxBytes = 2 * size })
	f.keeps("a", "b")
	expect.ErrorIs(t, ErrFull, f.Append(t.Context(), message("c"), attempted), "the error")
	poll.Until(t, "there is no room", func() bool { return errors.Is(f.Room(1), ErrFull) }) // and not because a machine stands still during a write
	f.settle(f.all()[:1], nil)
	poll.Until(t, "there is room again", func() bool { return f.Room(size) == nil })
	f.keeps("c")
}

// Quarantine may fill its own share and no more.
func TestQuarantineBound(t *testing.T) {
	for _, kind := range []publish.Kind{publish.Quarantined, publish.Refused} {
		t.Run(kind.String(), func(t *testing.T) { quarantineBound(t, kind) })
	}
}

func quarantineBound(t *testing.T, kind publish.Kind) {
	kept := message("q1")
	kept.Kind = kind
	size := sizeOf(kept)
	dir := t.TempDir()
	bound := func(c *Config) { c.MaxBytes, c.MaxOf[kind] = 10*size, size }
	f := open(t, dir, bound)
	expect.NoError(t, f.Append(t.Context(), kept, attempted))
	f.close()
	f = open(t, dir, bound)
	kept.ID = "q2"
	expect.ErrorIs(t, ErrFull, f.Append(t.Context(), kept, attempted), "the error")
	f.keeps("a", "b")
	other := message("q2")
	other.Kind = publish.Quarantined + publish.Refused - kind
	if err := f.Append(t.Context(), other, attempted); err != nil {
		t.Errorf("the other kind: %v", err)
	}
	first, err := f.Next(kind, 0, 1, maxBytes)
	expect.NoError(t, err)
	f.settle(first, nil)
	poll.Until(t, "there is room again", func() bool { return f.Len(kind) == 0 })
	if err := f.Append(t.Context(), kept, attempted); err != nil {
		t.Error(err)
	}
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	expect.ErrorIs(t, fileio.ErrInUse, expect.Err(Open(f.config)), "the error")
	f.close()
	open(t, dir).keeps("a")
}

func TestMode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	open(t, dir).keeps("a")
	for name, want := range map[string]os.FileMode{".": 0o700, "event-*." + format: 0o600, lockName: 0o600} {
		paths, err := filepath.Glob(filepath.Join(dir, name))
		if err != nil || len(paths) != 1 {
			t.Fatalf("%s: got %q, %v, want one file", name, paths, err)
		}
		info, err := os.Stat(paths[0])
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("the mode of %s: got %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

// A record is not written after its caller has given up: a 503 leaves nothing in a buffer.
func TestAbandonedRecordIsNotWritten(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", func(c *Config) { c.disk = m })
	writing, free := make(chan struct{}), make(chan struct{})
	var once sync.Once
	m.mu.Lock()
	m.fails = func(c call) error {
		if c.name == "pwrite" {
			once.Do(func() {
				close(writing)
				<-free
			})
		}
		return nil
	}
	m.mu.Unlock()
	first := make(chan error, 1)
	go func() { first <- f.Append(context.Background(), message("a"), attempted) }()
	<-writing
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	expect.ErrorIs(t, context.Canceled, f.Append(gone, message("b"), attempted), "the second")
	close(free)
	if err := <-first; err != nil {
		t.Errorf("the first: %v", err)
	}
	f.keeps("c")
	f.holds("a", "c")
}

// If one message is written twice at the same time, a reader gets it once.
func TestTwoAtOnce(t *testing.T) {
	m := newMemory()
	var f *fixture
	read := make(chan []Record, 1)
	f = open(t, "spool", on(m), func(c *Config) {
		c.Log = c.Log.WithOptions(zap.Hooks(func(e zapcore.Entry) error {
			if e.Level == zapcore.InfoLevel { // "can be written again": they are in the file, and not yet counted
				records, err := f.Next(publish.Event, 0, 10, maxBytes)
				read <- records
				return err
			}
			return nil
		}))
	})
	begun, end := make(chan bool), make(chan bool)
	syncs := 0
	m.mu.Lock()
	m.fails = func(c call) error {
		if c.name != "fsync" || syncs == 2 {
			return nil
		}
		if syncs++; syncs == 1 {
			begun <- true
			<-end
		}
		return errIO
	}
	m.mu.Unlock()
	go func() { _ = f.Append(t.Context(), message("refused"), attempted) }()
	<-begun
	for range 2 {
		expect.NoError(t, expect.Err(f.enqueue(&Record{Message: message("a")})))
	}
	end <- true
	if records := <-read; len(records) > 1 {
		t.Errorf("got %q", idsOf(records))
	}
	poll.Until(t, "they are counted", func() bool { return f.Len(publish.Event) == 1 })
	f.holds("a")
}
