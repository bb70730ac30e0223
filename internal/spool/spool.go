// Package spool is a durable queue on disk for messages that JetStream can't take now.
//
// [Spool.Append] returns nil only once the record is on disk and synced: then it survives a crash of the
// process and of the machine. [Spool.Next] returns records in the order in which they were appended. They
// stay until [Spool.Settle] removes them: after a crash one may be delivered twice, but none is lost.
//
// The spool is a log in segments: docs/spool-format.md has the format, and ADR 14 the reasons and the
// measurements. One goroutine writes (commit.go), and puts all waiting records into one write and one
// sync. No failure loses an acknowledged record: on a full disk new records are refused until there is
// room; after any other failure nothing more is written to that file, and a new one is begun. At a start
// the records are read in the background (recover.go); new ones are taken meanwhile.
package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// Config is all that a [Spool] needs.
type Config struct {
	Dir      string
	MaxBytes int64 // of the encoded records
	// MaxOf limits each kind; 0: only MaxBytes does. With one captured delivery a sender can fill the
	// spool with records that aren't events, and these must leave room for events.
	MaxOf [publish.Kinds]int64
	// ReadPatience is how long a recovery repeats a read that fails, before the records there count as
	// lost; 0: two minutes. A network disk may take that long to come back.
	ReadPatience time.Duration
	Log          *zap.Logger

	disk         disk          // nil: the operating system's
	segmentSize  int64         // 0: it depends on MaxBytes
	openPatience time.Duration // 0: the constant of that name
}

// journals is the number of journals: one for each kind, and one for the records that are set aside.
const (
	journals = publish.Kinds + 1
	setAside = publish.Kinds
)

var journalNames = [journals]string{publish.Event.String(), publish.Quarantined.String(), publish.Refused.String(), "set-aside"}

// Spool is an open spool. It has a queue for each [publish.Kind], and one for the records that are
// set aside.
type Spool struct {
	config   Config
	disk     disk
	lock     io.Closer // nil until the disk has room for it
	journals [journals]*journal

	mu        sync.Mutex
	ids       ids                  // of the records on disk; during a recovery, of those appended since it began
	unwritten [publish.Kinds]int64 // bytes of the records that aren't on disk yet
	dropped   map[uint64]bool      // records on disk that are copies of another one, or were set aside
	// recoveries counts the recoveries that have begun. meanwhile holds the records written since the
	// last one began, while it runs.
	recoveries int
	meanwhile  []*waiting
	closed     bool
	wake       chan struct{} // there is work for the committer; holds at most one
	done       chan struct{}

	// Used by the committer alone.
	next      uint64 // the next sequence number; none is used twice
	hasGap    bool   // a failed write has left a gap in the numbers
	recovery  sync.WaitGroup
	recovered chan *recovery
	loaded    bool             // the journals are open
	reported  bool             // that the disk can't be written is logged
	mark      [journals]uint64 // what the mark's file says
	buf       []byte           // for a write

	failure                atomic.Pointer[error]     // why the last write failed; nil if it succeeded
	busySince              atomic.Pointer[time.Time] // when the committer began to use the disk; nil: it doesn't
	recovering             atomic.Bool
	mustRecover            atomic.Bool  // another recovery is requested
	bytesRead, bytesToRead atomic.Int64 // of the recovery
	bytes                  [publish.Kinds]atomic.Int64
	free                   atomic.Int64  // bytes free on the disk
	last                   atomic.Uint64 // the highest sequence number on disk
	earlier                atomic.Uint64 // the highest one of an earlier process
}

// The reasons to refuse a record.
var (
	ErrFull   = errors.New("spool is full")
	ErrNoDisk = errors.New("disk is full")
	ErrSlow   = errors.New("disk is too slow")
	ErrClosed = errors.New("spool is closed")
)

const (
	lockName = "spool.lock"
	// reserve stays free on the disk, because delivering records needs a little room.
	reserve = 4 << 20
	// reserveForOthers stays free for each more important kind: events come first, then deliveries
	// that were answered 200.
	reserveForOthers = 16 << 20
	// maxUnwritten bounds the memory for records that wait for the disk.
	maxUnwritten = 64 << 20
	// A journal has about 128 segments at most: each is an open file, and is removed as a whole.
	minSegment  = 8 << 20
	maxSegments = 128
	// hungAfter is how long the committer may use the disk before the disk counts as failing. Senders
	// don't wait that long.
	hungAfter = time.Second
	// openPatience is how long Open waits for the recovery: long enough for a small spool.
	openPatience = 500 * time.Millisecond
	readPatience = 2 * time.Minute
)

// Open opens the directory's spool, or creates one. The error wraps [fileio.ErrInUse] if another
// process has it open, and [ErrVersion] if another version wrote it; the files are untouched then.
// Damage is no error. If the disk fails, Open returns a spool that refuses records and keeps trying.
func Open(c Config) (*Spool, error) {
	c.disk = cmp.Or[disk](c.disk, osDisk{})
	c.Log = c.Log.With(zap.String("directory", c.Dir))
	c.segmentSize = cmp.Or(c.segmentSize, max(minSegment, c.MaxBytes/maxSegments))
	s := &Spool{
		config: c, disk: c.disk, next: 1, dropped: make(map[uint64]bool),
		wake: make(chan struct{}, 1), done: make(chan struct{}), recovered: make(chan *recovery, 1),
	}
	for i, name := range journalNames {
		s.journals[i] = &journal{name: name, changed: make(chan struct{}, 1)}
		s.journals[i].segments.Store(new([]*segment))
	}
	slow := time.AfterFunc(hungAfter, func() {
		c.Log.Warn("the spool's disk doesn't answer: waiting for it")
	})
	err := s.load()
	slow.Stop()
	switch {
	case isDiskFailure(err):
		s.noteWrite(err)
	case err != nil:
		s.release()
		return nil, fmt.Errorf("opening spool: %w", err)
	}
	if !fileio.CanSyncDir {
		c.Log.Warn("this system can't make file names durable: after a loss of power, acknowledged records may be lost")
	}
	if s.recovering.Load() {
		select {
		case found := <-s.recovered:
			s.adopt(found)
		case <-time.After(cmp.Or(c.openPatience, openPatience)):
			c.Log.Info("spool is being read in the background; new records are taken meanwhile",
				zap.Int64("bytes", s.bytesToRead.Load()))
		}
	}
	s.measure()
	go s.run()
	return s, nil
}

func (s *Spool) path(name string) string { return filepath.Join(s.config.Dir, name) }

// Append appends a record with the message, whose data must not change any more. It returns nil once the
// record is durable, and at once if one with the same kind and id is durable already. If the context ends
// first, the record is dropped; if it is just being written, it may be kept.
func (s *Spool) Append(ctx context.Context, m publish.Message, attempted time.Time) error {
	w, err := s.enqueue(&Record{Message: m, Attempted: attempted})
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
	case <-w.done: // both have happened
		return w.err
	default:
	}
	j := w.journal
	if i := slices.Index(j.pending, w); i >= 0 {
		j.pending = slices.Delete(j.pending, i, i+1)
		s.unwritten[w.kind] -= w.size
	}
	return fmt.Errorf("waiting for the disk: %w", ctx.Err())
}

// enqueue queues the record to be written. It returns nil if the record is durable already, or refused.
func (s *Spool) enqueue(r *Record) (*waiting, error) {
	w := newWaiting(r, s.journals[r.Kind], nil)
	if w.size > recordHeader+largest { // it couldn't be read again
		return nil, fmt.Errorf("%w: %d bytes", publish.ErrTooLarge, w.size)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.ids.hasDurable(w.id) {
		return nil, nil
	}
	if err := s.room(r.Kind, w.size); err != nil {
		return nil, err
	}
	s.unwritten[w.kind] += w.size
	w.journal.pending = append(w.journal.pending, w)
	signal(s.wake)
	return w, nil
}

// room returns an error if there is no room for n more bytes of the kind. s.mu must be held.
func (s *Spool) room(kind publish.Kind, n int64) error {
	var used, unwritten int64
	for k, waiting := range s.unwritten {
		used += s.bytes[k].Load() + waiting
		unwritten += waiting
	}
	if used+n > s.config.MaxBytes {
		return fmt.Errorf("%w: %d of %d bytes are used", ErrFull, used, s.config.MaxBytes)
	}
	if kept, limit := s.bytes[kind].Load()+s.unwritten[kind], s.config.MaxOf[kind]; limit > 0 && kept+n > limit {
		return fmt.Errorf("%w: %d of the %d bytes for kind %s are used", ErrFull, kept, limit, kind)
	}
	if unwritten > 0 && unwritten+n > maxUnwritten {
		return fmt.Errorf("%w: %d bytes wait for it", ErrSlow, unwritten)
	}
	return s.checkFree(unwritten+n, reserve+int64(kind)*reserveForOthers)
}

// Room returns an error if an event of n bytes can't be appended: there is no room, or the last write
// failed. It never waits for the disk.
func (s *Spool) Room(n int64) error {
	if err := s.writeError(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room(publish.Event, n)
}

// writeError returns why the last write failed, or why it has not succeeded yet.
func (s *Spool) writeError() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	if since := s.busySince.Load(); since != nil && time.Since(*since) > hungAfter {
		return fmt.Errorf("%w: no answer for %s", ErrSlow, time.Since(*since).Round(time.Second))
	}
	return nil
}

// Holds reports whether a message of that kind and id is kept. During a recovery it returns true for
// every message: a look-up in the stream then keeps more ids than it needs, but misses none.
func (s *Spool) Holds(kind publish.Kind, messageID string) bool {
	id := idOf(kind, messageID)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recovering.Load() || s.ids.has(id)
}

// Len returns how many records of the kind wait, without those set aside. During a recovery it is an
// estimate, and zero only if no record waits.
func (s *Spool) Len(kind publish.Kind) int64 { return s.journals[kind].queued.Load() }

// Last returns the highest number of any record that is or was on disk.
func (s *Spool) Last() uint64 { return s.last.Load() }

// Earlier returns the highest number of a record of earlier processes; 0 until the files are open.
func (s *Spool) Earlier() uint64 { return s.earlier.Load() }

// Changes returns a channel that gets a value after records of the kind were appended, or the last one
// was settled.
func (s *Spool) Changes(kind publish.Kind) <-chan struct{} { return s.journals[kind].changed }

// Close writes the waiting records and closes the files. It gives up when the context ends.
func (s *Spool) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	signal(s.wake)
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return errors.New("closing spool: the disk does not answer")
	}
}

func (s *Spool) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
