package spool

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// waiting is a record that is to be written, for as many as wait for it.
type waiting struct {
	raw
	id      id
	arrived int64
	waiters int  // nobody but the committer waits for one that has none
	taken   bool // it is being written
	err     error
	done    chan struct{}
}

// fresh is a record that came while what was there was being read.
type fresh struct {
	id   id
	seq  uint64
	kind publish.Kind
	size int64
}

const (
	// A write takes so much and no more, so that none of those who wait for it waits long.
	maxRecords = 1024
	maxBytes   = 8 << 20
	// tick is how often the disk is looked at, and after a failure tried.
	tick = time.Second
	// measureEvery is how often the disk is looked at besides, while records come: it costs as much
	// as writing a few.
	measureEvery = 10 * time.Millisecond
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
			runtime.Gosched() // those that come at the same time go into the same write
		case found := <-s.recovered:
			if found.stopped { // by closing: release waits for it
				s.recovered <- found
				break
			}
			s.adopt(found)
		case <-ticker.C:
			s.check()
			s.measure()
			probe = s.failure.Load() != nil
		}
		batch, closed := s.take()
		var err error
		if len(batch) > 0 || probe {
			err = s.commit(batch)
		}
		operated, failure := s.operate()
		switch {
		case err != nil: // commit has said so
		case failure != nil:
			s.failed(failure)
		case len(batch) > 0 || probe || operated:
			s.writable()
		}
		switch {
		case s.more():
			signal(s.wake)
		case closed: // what is still to be settled will be delivered again
			s.release()
			return
		case time.Since(measured) > measureEvery:
			s.measure()
			measured = time.Now()
		}
	}
}

// more reports whether there is more to be written at once.
func (s *Spool) more() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending) > 0 || !s.operations.areNone() && s.failure.Load() == nil && !s.recovering.Load()
}

// take takes what is to be written next.
func (s *Spool) take() (batch []*waiting, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, size := 0, int64(0)
	for n < len(s.pending) && n < maxRecords && (n == 0 || size+s.pending[n].size() <= maxBytes) {
		s.pending[n].taken = true
		size += s.pending[n].size()
		n++
	}
	batch = slices.Clone(s.pending[:n])
	s.pending = slices.Delete(s.pending, 0, n)
	return batch, s.closed
}

// commit writes a batch: each kind's records with one write and one sync. Without any it tries
// whether the disk can be written.
func (s *Spool) commit(batch []*waiting) (failure error) {
	if len(batch) == 0 {
		if failure = s.write(s.journals[0], []*raw{{}}); failure != nil {
			s.failed(failure)
		}
	}
	for kind := range publish.Kind(publish.Kinds) {
		var some []*waiting
		var records []*raw
		for _, w := range batch {
			if w.kind == kind {
				w.seq = s.next
				s.next++
				some, records = append(some, w), append(records, &w.raw)
			}
		}
		if len(some) == 0 {
			continue
		}
		err := s.write(s.journals[kind], records)
		if err != nil {
			failure = err
			s.failed(err) // before those who wait are told, who may ask whether there is room
		}
		s.finish(kind, some, err)
	}
	return failure
}

// finish does the books, and tells those who wait.
func (s *Spool) finish(kind publish.Kind, some []*waiting, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range some {
		if w.err = err; err == nil {
			s.ids.add(w.id)
			if s.recovering.Load() {
				s.came = append(s.came, fresh{w.id, w.seq, kind, w.size()})
			}
			s.last.Store(w.seq)
			s.queued[kind].Add(1)
			s.bytes[kind].Add(w.size())
			s.free.Add(-w.size()) // until it is looked at again
			s.oldest[kind].CompareAndSwap(0, w.arrived)
		}
		delete(s.coming, w.id)
		s.comingBytes[kind] -= w.size()
		close(w.done)
	}
	if err == nil {
		signal(s.changes[kind])
	}
}

var errNotLoaded = errors.New("it can't be opened yet")

// write appends records to a journal, and returns once they are durable. After a failure it is tried
// once more, in a new segment; not where there is no room.
func (s *Spool) write(j *journal, records []*raw) (err error) {
	if !s.loaded {
		if err := s.failure.Load(); err != nil {
			return *err
		}
		return errNotLoaded
	}
	for attempt := range 2 {
		if err = s.try(j, records); err == nil || isNoSpace(err) {
			break
		}
		if attempt == 0 && errors.Is(err, os.ErrNotExist) { // the directory is gone
			s.check()
		}
	}
	if err != nil {
		return fmt.Errorf("writing spool: %w", err)
	}
	return nil
}

func (s *Spool) try(j *journal, records []*raw) (err error) {
	in, b := j.active, s.buf[:0]
	isNew := in == nil || in.end.Load() >= s.config.segmentSize
	if isNew {
		if in, err = s.newSegment(j, records[0].seq); err != nil {
			return err
		}
		b = append(b, in.header()...)
	}
	for _, r := range records {
		b = r.append(b, in.salt)
	}
	if s.buf = b; cap(b) > maxBytes/8 {
		s.buf = nil
	}
	err = in.append(b)
	switch {
	case err == nil && isNew:
		j.replace(append(slices.Clip(j.all()), in))
		j.active = in
	case err != nil && isNew: // nothing in it was acknowledged
		_ = in.remove()
	case err != nil && in.doubt.Load():
		j.active = nil
	}
	return err
}

// newSegment makes a journal's next segment, for records from that number on. Nothing is preallocated: that would make a lone sync a
// third faster, and a file's length would no longer say where it ends.
func (s *Spool) newSegment(j *journal, first uint64) (*segment, error) {
	if first == 0 { // a probe
		first = s.next
	}
	j.number = max(first, j.number+1)
	var salt [4]byte
	_, _ = rand.Read(salt[:]) // it never fails
	in := &segment{disk: s.disk, number: j.number, salt: binary.BigEndian.Uint32(salt[:])}
	if last := lastOf(j.all()); last != nil {
		if in.before = last.number; !s.recovering.Load() {
			in.known = last.end.Load()
		}
	}
	in.path = s.path(nameOf(j.name, in.number, in.salt))
	f, err := s.disk.open(in.path, os.O_CREATE|os.O_EXCL|os.O_RDWR)
	if err != nil {
		return nil, err
	}
	in.file.Store(&f)
	return in, nil
}

// failed notes why the disk can't be written, and says so once.
func (s *Spool) failed(err error) {
	s.failure.Store(&err)
	if !s.told {
		s.config.Log.Error("spool can't be written: while NATS is away events are refused; it is tried again every second",
			zap.String("directory", s.config.Dir), zap.Int64("free_bytes", s.disk.free(s.config.Dir)), zap.Error(err))
	}
	s.told = true
}

func (s *Spool) writable() {
	s.failure.Store(nil)
	if s.told {
		s.config.Log.Info("spool can be written again", zap.String("directory", s.config.Dir))
	}
	s.told = false
}

// release closes everything at the end.
func (s *Spool) release() {
	if s.recovering.Load() {
		<-s.recovered // it notices that the spool is closed
	} else if s.loaded {
		s.writeMark(true)
	}
	for _, j := range s.journals {
		for _, in := range j.all() {
			_ = (*in.file.Load()).Close()
		}
	}
	if s.markFile != nil {
		_ = s.markFile.Close()
	}
	if s.lock != nil {
		_ = s.lock.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.pending {
		w.err = ErrClosed
		close(w.done)
	}
	s.pending = nil
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// isDiskFailure reports whether err may go away by itself, or by what is done to the disk. Another
// error is a mistake in the configuration.
func isDiskFailure(err error) bool {
	return isNoSpace(err) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EIO)
}
