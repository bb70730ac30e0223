package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// waiting is a record that is to be written, for as many as wait for it.
type waiting struct {
	record  Record
	id      id
	size    int64
	waiters int  // nobody but the committer waits for one that has none
	taken   bool // it is being written
	err     error
	done    chan struct{}
}

// debt is what the file is to be told of records that are in it.
type debt struct {
	upTo    [durable.Kinds]uint64 // delivered or set aside, up to here
	aside   map[uint64]string     // of those, the ones set aside, and why
	discard []uint64              // no longer to be set aside
}

func settlement(kind durable.Kind, upTo uint64, aside map[uint64]string) debt {
	d := debt{aside: aside}
	d.upTo[kind] = upTo
	return d
}

func (d *debt) merge(more debt) {
	for kind := range d.upTo {
		d.upTo[kind] = max(d.upTo[kind], more.upTo[kind])
	}
	if d.aside == nil {
		d.aside = make(map[uint64]string, len(more.aside))
	}
	maps.Copy(d.aside, more.aside)
	d.discard = append(d.discard, more.discard...)
}

func (d *debt) isNone() bool {
	return d.upTo == [durable.Kinds]uint64{} && len(d.discard) == 0
}

// change is what a transaction has done, for the books in memory.
type change struct {
	added     []*waiting
	removed   []id
	delivered [durable.Kinds]uint64 // up to here
	queued    [durable.Kinds]int64  // how many more
	aside     int64
	bytes     [durable.Kinds]int64
}

const (
	// A transaction takes so much and no more, so that none of those who wait for it waits long.
	mostRecords = 1024
	mostBytes   = 8 << 20
	// tick is how often the disk is looked at, and after a failure tried.
	tick = time.Second
	// measureEvery is how often the disk is looked at besides, while records come: it costs as much as writing
	// a few.
	measureEvery = 10 * time.Millisecond
	// shrinkAt is how large an empty file may be. bbolt's never become smaller by themselves.
	shrinkAt = 64 << 20
)

// run is the committer.
func (s *Spool) run() {
	defer close(s.done)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var measured time.Time
	for {
		probe := false
		select {
		case <-s.wake:
			runtime.Gosched() // those that come at the same time go into the same transaction
		case <-ticker.C:
			s.measure()
			probe = s.failure.Load() != nil
		}
		batch, owed, closed := s.take()
		if f := s.file.Load(); len(batch) > 0 || !owed.isNone() || probe || f != nil && f.damage.Load() != nil {
			s.finish(batch, owed, s.commit(batch, owed))
		}
		switch {
		case s.more():
			signal(s.wake)
		case closed: // what is still owed will be delivered again
			s.release()
			return
		case time.Since(measured) > measureEvery:
			s.measure()
			measured = time.Now()
		}
	}
}

// more says whether there is more to be written at once. What is owed waits for the next tick where it
// can't be written.
func (s *Spool) more() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending) > 0 || !s.owed.isNone() && s.failure.Load() == nil
}

// take takes what is to be written next.
func (s *Spool) take() (batch []*waiting, owed debt, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, size := 0, int64(0)
	for n < len(s.pending) && n < mostRecords && (n == 0 || size+s.pending[n].size <= mostBytes) {
		s.pending[n].taken = true
		size += s.pending[n].size
		n++
	}
	batch = slices.Clone(s.pending[:n])
	s.pending = slices.Delete(s.pending, 0, n)
	owed, s.owed = s.owed, debt{}
	return batch, owed, s.closed
}

// commit writes a batch, if need be into a new file.
func (s *Spool) commit(batch []*waiting, owed debt) error {
	err := s.write(batch, owed)
	if err != nil && s.file.Load() == nil && !time.Now().Before(s.nextRenew) {
		why := err
		s.failure.Store(&why) // it may take long, and who asks for room should know
		if err = s.renew(why); err == nil {
			err = s.write(batch, owed)
		}
		if s.file.Load() == nil {
			s.nextRenew = time.Now().Add(tick)
		}
	}
	if err != nil {
		s.failed(err)
		return err
	}
	s.recovered()
	s.shrink()
	return nil
}

var errNoFile = errors.New("its file was given up, and a new one can't be written yet")

// write writes a batch in one transaction, with one sync of the data and one of the file's head. After
// any failure but a lack of room the file is given up: nothing is written to it any more, and above all
// it isn't synced again.
func (s *Spool) write(batch []*waiting, owed debt) error {
	f := s.file.Load()
	if f == nil {
		if err := s.failure.Load(); err != nil {
			return *err
		}
		return errNoFile
	}
	var done change
	err := guard(func() error {
		tx, err := f.begin(true)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // after a commit it does nothing
		if done, err = s.apply(tx, batch, owed); err != nil {
			return err
		}
		return tx.Commit()
	})
	if err != nil {
		if !isNoSpace(err) {
			s.giveUp(f)
		}
		return fmt.Errorf("writing spool: %w", err)
	}
	s.book(done)
	return nil
}

func (s *Spool) giveUp(f *file) {
	s.file.Store(nil)
	f.close()
}

// apply puts a batch into a transaction.
func (s *Spool) apply(tx *bbolt.Tx, batch []*waiting, owed debt) (change, error) {
	done := change{delivered: s.delivered}
	for kind, upTo := range owed.upTo {
		upTo = min(upTo, s.next-1) // a mark must not cover what is still to come
		if upTo <= s.delivered[kind] {
			continue
		}
		if err := done.settle(tx, durable.Kind(kind), upTo, owed.aside); err != nil {
			return done, err
		}
	}
	for _, seq := range owed.discard {
		if err := done.remove(tx.Bucket(asideBucket), seq, &done.aside); err != nil {
			return done, err
		}
	}
	for _, w := range batch {
		if _, ok := s.kept[w.id]; ok { // saved from the last file, though its commit had failed
			continue
		}
		w.record.Seq = s.next
		s.next++
		encoded := w.record.encode(false)
		if err := bucketOf(tx, w.record.Kind, false).Put(keyOf(w.record.Seq), encoded); err != nil {
			return done, err
		}
		done.added = append(done.added, w)
		done.queued[w.record.Kind]++
		done.bytes[w.record.Kind] += int64(len(encoded))
	}
	is := state{next: s.next, delivered: done.delivered, aside: s.aside.Load() + done.aside}
	for kind := range is.queued {
		is.queued[kind] = s.queued[kind].Load() + done.queued[kind]
	}
	return done, tx.Bucket(metaBucket).Put(stateKey, is.encode())
}

// settle removes a queue's records up to a number, or sets them aside.
func (c *change) settle(tx *bbolt.Tx, kind durable.Kind, upTo uint64, aside map[uint64]string) error {
	queue := bucketOf(tx, kind, false)
	var seqs []uint64
	cursor := queue.Cursor()
	for key, _ := cursor.First(); key != nil && binary.BigEndian.Uint64(key) <= upTo; key, _ = cursor.Next() {
		seqs = append(seqs, binary.BigEndian.Uint64(key))
	}
	for _, seq := range seqs {
		if reason, ok := aside[seq]; ok {
			if err := c.setAside(tx, queue, seq, reason); err != nil {
				return err
			}
			continue
		}
		if err := c.remove(queue, seq, &c.queued[kind]); err != nil {
			return err
		}
	}
	c.delivered[kind] = upTo
	return nil
}

func (c *change) remove(b *bbolt.Bucket, seq uint64, count *int64) error {
	key := keyOf(seq)
	value := b.Get(key)
	if value == nil {
		return nil
	}
	r, _, err := decode(value)
	if err != nil {
		return err
	}
	c.removed = append(c.removed, idOf(&r.Message))
	*count--
	c.bytes[r.Kind] -= int64(len(value))
	return b.Delete(key)
}

func (c *change) setAside(tx *bbolt.Tx, queue *bbolt.Bucket, seq uint64, reason string) error {
	key := keyOf(seq)
	value := queue.Get(key)
	r, _, err := decode(value)
	if err != nil {
		return err
	}
	r.Reason = reason
	encoded := r.encode(true)
	c.queued[r.Kind]--
	c.aside++
	c.bytes[r.Kind] += int64(len(encoded) - len(value))
	if err := tx.Bucket(asideBucket).Put(key, encoded); err != nil {
		return err
	}
	return queue.Delete(key)
}

// book notes what a transaction has done, once it is on disk.
func (s *Spool) book(done change) {
	s.mu.Lock()
	for _, id := range done.removed {
		delete(s.kept, id)
	}
	for _, w := range done.added {
		s.kept[w.id] = struct{}{}
	}
	s.mu.Unlock()
	for kind, more := range done.queued {
		s.queued[kind].Add(more)
	}
	s.last.Store(s.next - 1)
	s.delivered = done.delivered
	s.aside.Add(done.aside)
	for kind, more := range done.bytes {
		s.bytes[kind].Add(more)
		s.free.Add(-max(0, more)) // until it is looked at again
	}
	for _, w := range done.added {
		signal(s.changes[w.record.Kind])
	}
	for kind, more := range done.queued {
		if more < 0 && s.queued[kind].Load() == 0 {
			signal(s.changes[kind])
		}
	}
}

// finish tells those who wait, and keeps what the file couldn't be told.
func (s *Spool) finish(batch []*waiting, owed debt, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		owed.merge(s.owed)
		s.owed = owed
	}
	for _, w := range batch {
		w.err = err
		if _, ok := s.kept[w.id]; ok {
			w.err = nil
		}
		delete(s.coming, w.id)
		s.comingBytes[w.record.Kind] -= w.size
		close(w.done)
	}
}

// failed notes why the disk can't be written, and says so once.
func (s *Spool) failed(err error) {
	s.failure.Store(&err)
	if !s.told {
		s.config.Log.Error("spool can't be written: while NATS is away events are refused; it is tried again every second",
			zap.String("directory", s.config.Dir), zap.Int64("free_bytes", freeBytes(s.config.Dir)), zap.Error(err))
	}
	s.told = true
}

func (s *Spool) recovered() {
	s.failure.Store(nil)
	if s.told {
		s.config.Log.Info("spool can be written again", zap.String("directory", s.config.Dir))
	}
	s.told = false
}

// release closes the file at the end.
func (s *Spool) release() {
	if f := s.file.Load(); f != nil {
		s.giveUp(f)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.pending {
		w.err = ErrClosed
		close(w.done)
	}
	s.pending = nil
}
