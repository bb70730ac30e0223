// Package spool is a durable queue on disk: what can't be handed to JetStream now waits in it.
//
// [Spool.Append] returns without an error only once the record is on disk and synced; then it
// outlives a crash of the process and of the machine. Records come out in the order in which they
// were appended ([Spool.Next]) and stay until they are known to be delivered ([Spool.Settle]), so a
// crash can deliver one twice and never lose one.
//
// It is a log in segments: docs/spool-format.md has the format, ADR 14 why, and what was measured.
// One goroutine writes (commit.go). It puts all that waits into one write and one sync. Whatever
// fails, what was acknowledged is still there: a full disk refuses new records and heals by itself;
// after any other failure the file isn't written any more, and a new one is begun. What is found at a
// start is read in the background (recover.go), while new records are taken already.
package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/filewatch"
	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// Config says where the spool is and how large it may become.
type Config struct {
	Dir      string
	MaxBytes int64 // of the records that wait, as they are encoded
	// MaxOf bounds how much of that a kind may take; 0: MaxBytes alone does. Whoever has captured one
	// signed delivery can have records made of it that are no events, and must not keep out events.
	MaxOf [publish.Kinds]int64
	Log   *zap.Logger

	disk        disk          // nil: the operating system's
	segmentSize int64         // 0: what suits MaxBytes
	patience    time.Duration // how long Open waits for what it finds to be read; 0: openPatience
}

// journals is how many journals there are: one for each kind, and one for what is set aside.
const (
	journals = publish.Kinds + 1
	setAside = publish.Kinds
)

// Spool is an open spool. It has one queue for each [publish.Kind], and a place for the records that
// are set aside.
type Spool struct {
	config   Config
	disk     disk
	lock     io.Closer // nil where the disk had no room for it yet
	journals [journals]*journal

	mu          sync.Mutex
	ids         *ids                 // of the records on disk; while recovering, of those that came since
	coming      map[id]*waiting      // the records that are not there yet
	pending     []*waiting           // of those, what isn't being written yet, in order
	comingBytes [publish.Kinds]int64 // of coming
	operations  operations           // that are to be done
	dropped     map[uint64]struct{}  // records in a queue that are there once more
	closed      bool
	wake        chan struct{} // something is to be done; holds at most one
	changes     [publish.Kinds]chan struct{}
	done        chan struct{}

	// The committer's own.
	next      uint64 // the next sequence number, never used twice
	mark      mark
	markFile  file    // nil: none that may be written
	came      []fresh // since the recovery began
	recovered chan *recovery
	loaded    bool // the journals are open
	told      bool // that the last write failed
	doubted   bool // it is said that files are to be written anew
	buf       []byte

	failure    atomic.Pointer[error] // why the last write failed; nil when it succeeded
	recovering atomic.Bool
	isDamaged  atomic.Bool  // damage was found that isn't known: everything is to be read again
	read, all  atomic.Int64 // by the recovery: bytes
	queued     [journals]atomic.Int64
	oldest     [journals]atomic.Int64 // arrival of the first one, Unix nanoseconds; 0: none
	bytes      [publish.Kinds]atomic.Int64
	free       atomic.Int64  // bytes free on the disk
	last       atomic.Uint64 // the highest sequence number on disk
}

// The reasons for which a record isn't kept.
var (
	ErrFull   = errors.New("spool is full")
	ErrNoDisk = errors.New("disk is full")
	ErrSlow   = errors.New("disk is too slow")
	ErrClosed = errors.New("spool is closed")
)

const (
	lockName = "spool.lock"
	// reserve is what is left free on the disk: delivering records needs a little of it, too.
	reserve = 4 << 20
	// reserveForOthers is what a kind leaves free besides for each kind that counts for more: events
	// first, then what was answered 200.
	reserveForOthers = 16 << 20
	// maxComing bounds what waits in memory for the disk.
	maxComing = 64 << 20
	// A journal has some 128 segments at the most: each is an open file, and done with as a whole.
	minSegment  = 8 << 20
	maxSegments = 128
	// openPatience is how long Open waits for what it finds to be read, so that a small spool is
	// there at once.
	openPatience = 500 * time.Millisecond
)

// Open opens the spool in the directory, or makes one. The error wraps [filewatch.ErrInUse] where
// another process has it, [ErrNewer] where a newer version wrote it, and [ErrOld] where it is of a
// kind that this one can't read; the files are untouched then. Damage is no error. Where the disk
// fails, Open returns a spool that refuses records and goes on trying.
func Open(c Config) (*Spool, error) {
	s := &Spool{
		config: c, disk: c.disk, next: 1, ids: new(ids), coming: make(map[id]*waiting),
		wake: make(chan struct{}, 1), done: make(chan struct{}), recovered: make(chan *recovery, 1),
	}
	if s.disk == nil {
		s.disk = osDisk{}
	}
	if c.segmentSize == 0 {
		s.config.segmentSize = max(minSegment, c.MaxBytes/maxSegments)
	}
	for i := range s.journals {
		s.journals[i] = newJournal(journalName(i))
	}
	for kind := range s.changes {
		s.changes[kind] = make(chan struct{}, 1)
	}
	err := s.load()
	switch {
	case isDiskFailure(err):
		s.failed(err)
	case err != nil:
		s.release()
		return nil, fmt.Errorf("opening spool: %w", err)
	}
	if !filewatch.CanSyncDir {
		c.Log.Warn("this system can't make a file's name durable: a record that is acknowledged survives the end of the process, and a loss of power perhaps not",
			zap.String("directory", c.Dir))
	}
	timer := time.NewTimer(max(c.patience, 0))
	if c.patience == 0 {
		timer.Reset(openPatience)
	}
	if s.recovering.Load() {
		select {
		case found := <-s.recovered:
			s.adopt(found)
		case <-timer.C:
			c.Log.Info("spool takes records while what is in it is read", zap.String("directory", c.Dir), zap.Int64("bytes", s.all.Load()))
		}
	}
	s.measure()
	go s.run()
	return s, nil
}

func journalName(i int) string {
	if i == setAside {
		return "set-aside"
	}
	return publish.Kind(i).String()
}

func (s *Spool) path(name string) string { return filepath.Join(s.config.Dir, name) }

// Append keeps the message. It returns nil once the record is on disk, at once where one with the
// same kind and id is there already. When the context ends first, the record is forgotten, unless it
// is just being written: then nobody can say.
func (s *Spool) Append(ctx context.Context, m publish.Message, arrived, attempted time.Time) error {
	w, err := s.enqueue(Record{Message: m, Arrived: arrived, Attempted: attempted})
	if w == nil {
		return err
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-w.done: // both had happened
		return w.err
	default:
	}
	if w.waiters--; w.waiters == 0 && !w.taken {
		s.forget(w)
	}
	return fmt.Errorf("waiting for the disk: %w", ctx.Err())
}

// enqueue returns what to wait for; nothing where the record is kept already, or can't be.
func (s *Spool) enqueue(r Record) (*waiting, error) {
	x := idOf(r.Kind, r.ID)
	// Whoever appends it may be gone before it is written, so nothing of it is kept.
	w := &waiting{raw: raw{kind: r.Kind, payload: r.encode()}, id: x, arrived: r.Arrived.UnixNano(), waiters: 1, done: make(chan struct{})}
	if len(w.payload) > largest { // it could not be read again
		return nil, fmt.Errorf("%w: %d bytes", publish.ErrTooLarge, len(w.payload))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.ids.has(x) {
		return nil, nil
	}
	if w := s.coming[x]; w != nil {
		w.waiters++
		return w, nil
	}
	if err := s.room(r.Kind, w.size()); err != nil {
		return nil, err
	}
	s.coming[x] = w
	s.comingBytes[r.Kind] += w.size()
	s.pending = append(s.pending, w)
	signal(s.wake)
	return w, nil
}

// forget takes a record that nobody waits for any more from those that are to be written. The lock
// is held.
func (s *Spool) forget(w *waiting) {
	delete(s.coming, w.id)
	s.comingBytes[w.kind] -= w.size()
	for i := range s.pending {
		if s.pending[i] == w {
			s.pending = append(s.pending[:i], s.pending[i+1:]...)
			return
		}
	}
}

// room returns nil where so many bytes more of the kind could be kept. The lock is held.
func (s *Spool) room(kind publish.Kind, n int64) error {
	var used, coming int64
	for kind := range s.bytes {
		used += s.bytes[kind].Load() + s.comingBytes[kind]
		coming += s.comingBytes[kind]
	}
	if used+n > s.config.MaxBytes {
		return fmt.Errorf("%w: %d of %d bytes are used", ErrFull, used, s.config.MaxBytes)
	}
	if kept, limit := s.bytes[kind].Load()+s.comingBytes[kind], s.config.MaxOf[kind]; limit > 0 && kept+n > limit {
		return fmt.Errorf("%w: of the %d bytes for kind %s %d are used", ErrFull, limit, kind, kept)
	}
	if coming > 0 && coming+n > maxComing {
		return fmt.Errorf("%w: %d bytes wait for it", ErrSlow, coming)
	}
	left := reserve + int64(kind)*reserveForOthers
	if free := s.free.Load(); coming+n > free-left {
		return fmt.Errorf("%w: %d bytes are free, of which the last %d are left so", ErrNoDisk, free, left)
	}
	return nil
}

// Room returns nil while an event of n bytes could be kept: the last write succeeded, and it still
// fits. It never waits for the disk.
func (s *Spool) Room(n int64) error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room(publish.Event, n)
}

// Holds reports whether a message of that kind and id is kept. While what is there is being read it is
// true of all: a look-up in the stream then remembers more than it needs, and misses nothing.
func (s *Spool) Holds(kind publish.Kind, messageID string) bool {
	id := idOf(kind, messageID)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recovering.Load() || s.ids.has(id)
}

// Len returns how many of a kind's records wait, those set aside not among them. It isn't zero while
// there may be one that is still to be read.
func (s *Spool) Len(kind publish.Kind) int64 { return s.queued[kind].Load() }

// Dir returns where the spool is.
func (s *Spool) Dir() string { return s.config.Dir }

// Last returns the highest number that a record on disk has, or has had.
func (s *Spool) Last() uint64 { return s.last.Load() }

// Changes has a value when records of the kind may have come, or the last one of them may have gone,
// since it was last read.
func (s *Spool) Changes(kind publish.Kind) <-chan struct{} { return s.changes[kind] }

// Settle has the kind's records up to upTo no longer kept, but for those in reasons, which are set
// aside, each with the reason given. It returns at once, and the disk is told by and by: after a
// crash they may come again.
func (s *Spool) Settle(kind publish.Kind, upTo uint64, reasons map[uint64]string) {
	o := operations{reasons: reasons}
	o.upTo[kind] = upTo
	s.request(o)
}

// Discard forgets records that were set aside.
func (s *Spool) Discard(seqs []uint64) {
	o := operations{discard: make(map[uint64]bool, len(seqs))}
	for _, seq := range seqs {
		o.upTo[setAside] = max(o.upTo[setAside], seq)
		o.discard[seq] = true
	}
	s.request(o)
}

func (s *Spool) request(o operations) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.operations.merge(o)
	signal(s.wake)
}

// Close writes what still waits and closes the files, or gives up when the context ends.
func (s *Spool) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	signal(s.wake)
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return errors.New("closing spool: the disk doesn't answer")
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
