// Package spool is a durable queue on disk: what can't be handed to JetStream now waits in it.
//
// [Spool.Append] returns without an error only once the record is on disk and synced; then it
// outlives a crash of the process and of the machine. Records come out in the order in which they
// were appended ([Spool.Next]) and stay until they are known to be delivered ([Spool.Settle]), so a
// crash can deliver one twice and never lose one.
//
// One goroutine writes. It puts all that waits into one transaction, so that a sync serves many
// (commit.go). Whatever fails, what was acknowledged is still in the file: a full disk refuses new
// records and heals by itself; after any other failure the file isn't written any more, and what it
// holds goes into a new one (renew.go), since a second fsync after one that failed says nothing about
// what the first should have written. A file that can't be read is kept for somebody to look at, and
// its readable records go into a new one too (salvage.go).
//
// Why bbolt, and what was measured, is in ADR 9.
package spool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/durable"
	"github.com/ade15e70/webhook-bridge/internal/filewatch"
)

// Config says where the spool is and how large it may become.
type Config struct {
	Dir      string
	MaxBytes int64 // of the records that wait, as they are encoded
	// MaxOf bounds how much of that a kind may take; 0: MaxBytes alone does. Whoever has captured one
	// signed delivery can have records made of it that are no events, and must not keep out events.
	MaxOf [durable.Kinds]int64
	Log   *zap.Logger
}

// Spool is an open spool. It has one queue for each [durable.Kind], and a place for the records that
// are set aside.
type Spool struct {
	config Config
	lock   io.Closer // nil where the disk had no room for it yet

	mu          sync.Mutex
	kept        map[id]struct{}      // the records on disk
	coming      map[id]*waiting      // those that are not there yet
	pending     []*waiting           // of those, what isn't being written yet, in order
	comingBytes [durable.Kinds]int64 // of coming
	owed        debt                 // what the file is still to be told
	closed      bool
	wake        chan struct{} // something is to be done; holds at most one
	changes     [durable.Kinds]chan struct{}
	done        chan struct{}

	// The committer's own.
	next       uint64                // the next sequence number, never used twice
	delivered  [durable.Kinds]uint64 // up to which the kind's records are no longer in its queue
	nextRenew  time.Time             // not before
	nextShrink time.Time
	told       bool // that the last write failed

	file      atomic.Pointer[file]  // nil while there is none that can be written; only the committer sets it
	failure   atomic.Pointer[error] // why the last write failed; nil when it succeeded
	queued    [durable.Kinds]atomic.Int64
	oldest    [durable.Kinds]atomic.Int64 // arrival of the first one, Unix nanoseconds; 0: none
	aside     atomic.Int64
	bytes     [durable.Kinds]atomic.Int64
	fileBytes atomic.Int64
	idle      atomic.Int64  // bytes in the file that records can take without its growing
	free      atomic.Int64  // bytes free on the disk
	last      atomic.Uint64 // the highest sequence number on disk
}

// id tells records apart: a hash of the kind and the message's id.
type id [16]byte

func idOf(m *durable.Message) id {
	sum := sha256.Sum256(append([]byte{byte(m.Kind)}, m.ID...))
	return id(sum[:16])
}

// The reasons for which a record isn't kept.
var (
	ErrFull   = errors.New("spool is full")
	ErrNoDisk = errors.New("disk is full")
	ErrClosed = errors.New("spool is closed")
)

// reserve is what is left free on the disk: delivering records needs a little of it, too.
const reserve = 4 << 20

// reserveForOthers is what a kind leaves free besides for each kind that counts for more: events
// first, then what was answered 200.
const reserveForOthers = 16 << 20

// Open opens the spool in the directory, or makes one. The error wraps [filewatch.ErrInUse] where another
// process has it, and [ErrNewer] where its file is a newer version's; that file is untouched. A
// damaged file is no error. Where the disk fails, Open returns a spool that refuses records and
// goes on trying.
func Open(c Config) (*Spool, error) {
	s := &Spool{
		config: c, next: 1,
		kept: make(map[id]struct{}), coming: make(map[id]*waiting),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	for kind := range s.changes {
		s.changes[kind] = make(chan struct{}, 1)
	}
	var err error
	if s.lock, err = filewatch.LockDir(c.Dir, lockName); err == nil {
		err = s.open()
	}
	switch {
	case isDiskFailure(err):
		s.failed(err)
	case err != nil:
		s.unlock()
		return nil, fmt.Errorf("opening spool: %w", err)
	}
	s.measure()
	go s.run()
	return s, nil
}

// open opens the file there is, or makes one.
func (s *Spool) open() error {
	path := filepath.Join(s.config.Dir, fileName)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return s.create()
	}
	found, err := walk(path, ignore)
	if errors.Is(err, errDamaged) {
		return s.renew(err)
	}
	if err != nil {
		return err
	}
	f, err := openFile(path)
	if errors.Is(err, errDamaged) {
		return s.renew(err)
	}
	if err != nil {
		return err
	}
	// What a process wrote that was killed before its sync counts as kept from now on.
	if err := f.db.Sync(); err != nil {
		f.close()
		return s.renew(fmt.Errorf("syncing %s: %w", path, err))
	}
	_ = os.Remove(filepath.Join(s.config.Dir, newName)) // or one day it would be taken for the spool (see create)
	s.use(f, found)
	return nil
}

// create makes an empty file, unless a whole one was about to take the place of one that was set
// aside when the process ended.
func (s *Spool) create() error {
	fresh := filepath.Join(s.config.Dir, newName)
	switch _, err := walk(fresh, ignore); {
	case errors.Is(err, ErrNewer):
		return err
	case err == nil:
		if err := os.Rename(fresh, filepath.Join(s.config.Dir, fileName)); err != nil {
			return err
		}
		if err := syncDir(s.config.Dir); err != nil {
			return err
		}
		return s.open()
	}
	f, found, err := rewrite(s.config.Dir, "", [durable.Kinds]uint64{}, nothing)
	if err != nil {
		return err
	}
	// The directory's own name must be durable too, and it may be new as well. Who may not read the parent
	// can't have made it.
	if err := syncDir(filepath.Dir(filepath.Clean(s.config.Dir))); err != nil && !errors.Is(err, os.ErrPermission) {
		f.close()
		return err
	}
	s.use(f, found)
	return nil
}

// use takes a file into use.
func (s *Spool) use(f *file, found inventory) {
	s.file.Store(f)
	s.mu.Lock()
	s.kept = found.ids
	s.mu.Unlock()
	s.next = max(s.next, found.next)
	s.delivered = found.delivered
	s.last.Store(s.next - 1)
	for kind := range s.queued {
		s.queued[kind].Store(found.queued[kind])
		signal(s.changes[kind])
	}
	s.aside.Store(found.aside)
	for kind := range s.bytes {
		s.bytes[kind].Store(found.bytes[kind])
	}
	s.measure()
}

// Append keeps the message. It returns nil once the record is on disk, at once where one with the
// same kind and id is there already. When the context ends first, the record is forgotten, unless it is
// just being written: then nobody can say.
func (s *Spool) Append(ctx context.Context, m durable.Message, arrived, attempted time.Time) error {
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
	id := idOf(&r.Message)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if _, ok := s.kept[id]; ok {
		return nil, nil
	}
	if w := s.coming[id]; w != nil {
		w.waiters++
		return w, nil
	}
	w := &waiting{record: r, id: id, size: r.size(), waiters: 1, done: make(chan struct{})}
	if w.size > headerSize+largest { // it could not be read again
		return nil, fmt.Errorf("%w: %d bytes", durable.ErrTooLarge, w.size)
	}
	if err := s.room(r.Kind, w.size); err != nil {
		return nil, err
	}
	if r.Lent { // whoever appends it may be gone, and its data another's, before it is written
		w.record.Data, w.record.Lent = bytes.Clone(r.Data), false
	}
	s.coming[id] = w
	s.comingBytes[w.record.Kind] += w.size
	s.pending = append(s.pending, w)
	signal(s.wake)
	return w, nil
}

// forget takes a record that nobody waits for any more from those that are to be written. The lock
// is held.
func (s *Spool) forget(w *waiting) {
	delete(s.coming, w.id)
	s.comingBytes[w.record.Kind] -= w.size
	for i := range s.pending {
		if s.pending[i] == w {
			s.pending = append(s.pending[:i], s.pending[i+1:]...)
			return
		}
	}
}

// room says whether so many bytes more of the kind could be kept. The lock is held.
func (s *Spool) room(kind durable.Kind, n int64) error {
	var used, coming int64
	for kind := range s.bytes {
		used += s.bytes[kind].Load() + s.comingBytes[kind]
		coming += s.comingBytes[kind]
	}
	if used+n > s.config.MaxBytes {
		return fmt.Errorf("%w: %d of %d bytes are used", ErrFull, used, s.config.MaxBytes)
	}
	if kept, most := s.bytes[kind].Load()+s.comingBytes[kind], s.config.MaxOf[kind]; most > 0 && kept+n > most {
		return fmt.Errorf("%w: of the %d bytes for kind %s %d are used", ErrFull, most, kind, kept)
	}
	left := reserve + int64(kind)*reserveForOthers
	if free := s.free.Load(); coming+n > free+s.idle.Load()-left {
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
	return s.room(durable.Event, n)
}

// Holds says whether a message of that kind and id is kept.
func (s *Spool) Holds(kind durable.Kind, messageID string) bool {
	id := idOf(&durable.Message{Kind: kind, ID: messageID})
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.kept[id]
	return ok
}

// Len is how many of a kind's records wait, those set aside not among them.
func (s *Spool) Len(kind durable.Kind) int64 { return s.queued[kind].Load() }

// Dir is where the spool is.
func (s *Spool) Dir() string { return s.config.Dir }

// Last is the highest number that a record on disk has, or has had.
func (s *Spool) Last() uint64 { return s.last.Load() }

// Changes has a value when records of the kind may have come, or the last one of them may have gone, since it
// was last read.
func (s *Spool) Changes(kind durable.Kind) <-chan struct{} { return s.changes[kind] }

// Settle says that the kind's records up to upTo need not be kept any more, but for those in aside,
// which are set aside, each with the reason given. It returns at once, and the file is told by and
// by: after a crash they may come again.
func (s *Spool) Settle(kind durable.Kind, upTo uint64, aside map[uint64]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed.merge(settlement(kind, upTo, aside))
	signal(s.wake)
}

// Discard forgets records that were set aside.
func (s *Spool) Discard(seqs []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed.merge(debt{discard: seqs})
	signal(s.wake)
}

// Close writes what still waits and closes the file, or gives up when the context ends.
func (s *Spool) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	signal(s.wake)
	select {
	case <-s.done:
		s.unlock()
		return nil
	case <-ctx.Done():
		return errors.New("closing spool: the disk doesn't answer")
	}
}

func (s *Spool) unlock() {
	if s.lock != nil {
		_ = s.lock.Close()
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
