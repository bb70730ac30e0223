package spool

import (
	"encoding/binary"
	"errors"
	"maps"
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
	added   []*waiting
	removed []id
	queued  [durable.Kinds]int64 // how many more
	aside   int64
	bytes   int64
}

const (
	// A transaction takes so much and no more, so that none of those who wait for it waits long.
	mostRecords = 1024
	mostBytes   = 8 << 20
	// tick is how often the disk is looked at, and after a failure tried.
	tick = time.Second
	// shrinkAt is how large an empty file may be. bbolt's never become smaller by themselves.
	shrinkAt = 64 << 20
)

// run is the committer.
func (s *Spool) run() {
	defer close(s.done)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		probe := false
		select {
		case <-s.wake:
		case <-ticker.C:
			probe = s.failure.Load() != nil
		}
		probe = probe || s.damage.Load() != nil
		for {
			batch, owed, closed := s.take()
			if len(batch) > 0 || !owed.isNone() || probe {
				s.finish(batch, owed, s.commit(batch, owed))
			} else if closed {
				s.release()
				return
			} else {
				break
			}
			probe = false
			if len(batch) == 0 && s.failure.Load() != nil {
				if closed { // what is owed stays owed: it will be delivered again
					s.release()
					return
				}
				break // until the next tick
			}
		}
		s.measure()
	}
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
	switch {
	case err == nil:
		s.recovered()
		s.shrink()
		return nil
	case isNoSpace(err):
		s.failed(err)
		return err
	case errors.Is(err, errNoFile):
		err = *s.failure.Load()
		if time.Now().Before(s.nextRenew) {
			return err
		}
	}
	s.failed(err)
	if err = s.renew(err); err == nil {
		err = s.write(batch, owed)
	}
	if err != nil {
		s.nextRenew = time.Now().Add(tick)
		s.failed(err)
		return err
	}
	s.recovered()
	return nil
}

var errNoFile = errors.New("there is no file that can be written")

// write writes a batch in one transaction, with one sync of the data and one of the file's head.
func (s *Spool) write(batch []*waiting, owed debt) error {
	if err := s.damage.Swap(nil); err != nil {
		return *err
	}
	if s.file == nil { // only the committer sets it
		return errNoFile
	}
	var done change
	err := guard(func() error {
		tx, err := s.file.db.Begin(true)
		if err != nil {
			return err
		}
		if done, err = s.apply(tx, batch, owed); err != nil {
			_ = tx.Rollback()
			return err
		}
		return tx.Commit()
	})
	if err != nil {
		return err
	}
	s.book(done)
	return nil
}

// apply puts a batch into a transaction.
func (s *Spool) apply(tx *bbolt.Tx, batch []*waiting, owed debt) (change, error) {
	var done change
	for kind, upTo := range owed.upTo {
		if upTo == 0 {
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
		done.bytes += int64(len(encoded))
	}
	if len(batch) == 0 && owed.isNone() { // to see whether the disk can be written again
		return done, tx.Bucket(metaBucket).Put(probeKey, keyOf(s.next))
	}
	return done, nil
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
	return tx.Bucket(metaBucket).Put(markKeys[kind], encodeMark(kind, upTo))
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
	c.bytes -= int64(len(value))
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
	c.bytes += int64(len(encoded) - len(value))
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
	s.aside.Add(done.aside)
	s.bytes.Add(done.bytes)
	for _, w := range done.added {
		signal(s.arrivals[w.record.Kind])
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
		s.coming64 -= w.size
		close(w.done)
	}
}

// failed notes why the disk can't be written, and says so once.
func (s *Spool) failed(err error) {
	if s.failure.Swap(&err) == nil {
		s.config.Log.Error("spool can't be written: while NATS is away events are refused; it is tried again every second",
			zap.String("directory", s.config.Dir), zap.Int64("free_bytes", s.free.Load()), zap.Error(err))
	}
}

func (s *Spool) recovered() {
	if s.failure.Swap(nil) != nil {
		s.config.Log.Info("spool can be written again", zap.String("directory", s.config.Dir))
	}
}

// release closes the file at the end.
func (s *Spool) release() {
	if f := s.swap(nil); f != nil {
		f.close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.pending {
		w.err = ErrClosed
		close(w.done)
	}
	s.pending = nil
}
