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

// waiting is a record to be written.
type waiting struct {
	journal, from *journal // from has the record until it is set aside; nil: the record is new
	kind          publish.Kind
	id            id
	seq, oldSeq   uint64 // oldSeq and oldSize are those in from
	payload       []byte
	size, oldSize int64
	err           error
	done          chan struct{}
}

func newWaiting(r *Record, j, from *journal) *waiting {
	payload := r.payload()
	return &waiting{
		journal: j, from: from, kind: r.Kind, id: idOf(r.Kind, r.ID), oldSeq: r.Seq,
		payload: payload, size: recordHeader + int64(len(payload)), oldSize: r.size, done: make(chan struct{}),
	}
}

// probe is a record without a payload, which no reader returns.
var probe = Record{isFirst: true}

const (
	// A write is bounded, so that no caller waits for long.
	maxRecords = 1024
	maxBytes   = 8 << 20
	// maxBuffer is the size up to which the buffer of a write is used again.
	maxBuffer = 1 << 20
	// tick is the interval for checking the files and, after a failure, for trying to write.
	tick = time.Second
)

// run is the committer's loop.
func (s *Spool) run() {
	defer close(s.done)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		due := false
		select {
		case <-s.wake:
			runtime.Gosched() // concurrent appends share a write
		case found := <-s.recovered:
			s.adopt(found)
		case <-ticker.C:
			due = true
		}
		s.busySince.Store(new(time.Now()))
		if due {
			s.checkFiles()
			s.measure()
		}
		closed := s.isClosed() // after that no record is appended or settled
		for _, j := range s.journals {
			s.commit(j)
		}
		if due && s.failure.Load() != nil { // a probe shows whether the disk can be written again
			s.noteWrite(s.write(s.journals[publish.Event], nil))
		}
		if s.mustRecover.Load() && !s.recovering.Load() {
			s.recover()
		}
		s.remove()
		s.busySince.Store(nil)
		s.mu.Lock()
		more := slices.ContainsFunc(s.journals[:], func(j *journal) bool { return len(j.pending) > 0 })
		s.mu.Unlock()
		switch {
		case more:
			signal(s.wake)
		case closed: // records that aren't settled yet will be delivered again
			s.release()
			return
		}
	}
}

// take returns the next records to write to a journal.
func (s *Spool) take(j *journal) []*waiting {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, size := 0, int64(0)
	for n < len(j.pending) && n < maxRecords && (n == 0 || size+j.pending[n].size <= maxBytes) {
		size += j.pending[n].size
		n++
	}
	batch := j.pending[:n]
	j.pending = slices.Clone(j.pending[n:])
	return batch
}

// commit writes the records that wait for a journal, with one write and one sync.
func (s *Spool) commit(j *journal) {
	batch := s.take(j)
	if len(batch) == 0 {
		return
	}
	err := s.write(j, batch)
	s.noteWrite(err) // before the callers return: they may ask whether there is room
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range batch {
		if w.payload, w.err = nil, err; err == nil {
			s.added(w)
		}
		if w.from == nil {
			s.unwritten[w.kind] -= w.size
		}
		close(w.done)
	}
}

// added counts a record that is durable now. s.mu must be held.
func (s *Spool) added(w *waiting) {
	s.last.Store(w.seq)
	s.free.Add(-w.size) // until it is measured again
	if s.recovering.Load() {
		s.meanwhile = append(s.meanwhile, w)
	}
	s.count(w)
	signal(w.journal.changed)
}

// count counts a record unless it is a copy of another one. A record that is set aside replaces the one in
// the queue. s.mu must be held.
func (s *Spool) count(w *waiting) {
	switch {
	case s.dropped[w.oldSeq], w.from == nil && s.ids.hasDurable(w.id):
		s.dropped[w.seq] = true
		return
	case w.from != nil:
		s.dropped[w.oldSeq] = true
		s.ids.remove(w.id)
		w.from.queued.Add(-1)
		s.bytes[w.kind].Add(-w.oldSize)
	}
	s.ids.add(w.id)
	w.journal.queued.Add(1)
	s.bytes[w.kind].Add(w.size)
}

// write appends records to a journal, or a probe if there are none, and returns once they are
// durable. After a failure it tries once more in a new segment, unless the disk is full.
func (s *Spool) write(j *journal, batch []*waiting) error {
	if !s.loaded {
		return *s.failure.Load()
	}
	err := s.try(j, batch)
	if err != nil && !isNoSpace(err) {
		s.checkFiles() // the directory may have been removed
		err = s.try(j, batch)
	}
	if err != nil {
		return fmt.Errorf("writing spool: %w", err)
	}
	return nil
}

func (s *Spool) try(j *journal, batch []*waiting) (err error) {
	in := j.active
	isNew := in == nil || in.end.Load() >= s.config.segmentSize
	if isNew {
		if in, err = s.newSegment(j.name); err != nil {
			return err
		}
	}
	size := recordHeader
	for _, w := range batch {
		size += int(w.size)
	}
	b := slices.Grow(s.buf[:0], size)
	for i, w := range batch {
		w.seq = s.next
		s.next++
		r := Record{Message: publish.Message{Kind: w.kind}, Seq: w.seq, isFirst: i == 0}
		b = append(r.appendHeader(b, w.payload, in.salt), w.payload...)
	}
	if len(batch) == 0 {
		b = probe.appendHeader(b, nil, in.salt)
	}
	if s.buf = b; cap(b) > maxBuffer {
		s.buf = nil
	}
	err = in.append(b)
	s.hasGap = s.hasGap || err != nil
	if err == nil && len(batch) > 0 {
		in.last = batch[len(batch)-1].seq
	}
	switch {
	case err == nil && isNew:
		j.seal()
		j.segments.Store(new(append(slices.Clip(j.all()), in)))
		j.active = in
	case isNew: // nothing in it was acknowledged
		_ = in.remove()
	case in.hasFailed:
		j.active = nil
	}
	return err
}

// newSegment creates a segment. It doesn't preallocate the file: that would make a single sync a third
// faster, but hide where the records end.
func (s *Spool) newSegment(journal string) (*segment, error) {
	if s.hasGap { // a recovery expects gaps only between segments, and before such multiples
		for _, j := range s.journals {
			j.seal()
		}
		s.next = skip(s.next, failureBits)
	}
	var salt [4]byte
	_, _ = rand.Read(salt[:]) // never fails
	in := &segment{disk: s.disk, number: s.next, salt: binary.BigEndian.Uint32(salt[:])}
	s.next++ // also after an error: the file may exist
	in.path = s.path(nameOf(journal, in.number, in.salt))
	var err error
	in.file, err = s.disk.open(in.path, os.O_CREATE|os.O_EXCL|os.O_RDWR)
	s.hasGap = err != nil
	return in, err
}

// noteWrite notes the result of a write: nil, or why the disk can't be written.
func (s *Spool) noteWrite(err error) {
	if err == nil {
		s.failure.Store(nil)
		s.report()
		return
	}
	s.failure.Store(&err)
	s.measure()
}

// measure notes how much room the disk has.
func (s *Spool) measure() {
	s.free.Store(s.disk.free(s.config.Dir))
	s.report()
}

// report logs when the spool can't be written any more, and when it can be written again.
func (s *Spool) report() {
	err := s.checkFree(0, reserve)
	if failure := s.failure.Load(); failure != nil {
		err = *failure
	}
	switch {
	case err != nil && !s.reported:
		s.config.Log.Error("spool can't be written: while NATS is away, events are refused; trying again every second",
			zap.Int64("free_bytes", s.free.Load()), zap.Error(err))
	case err == nil && s.reported:
		s.config.Log.Info("spool can be written again")
	}
	s.reported = err != nil
}

// checkFree returns an error if fewer than least bytes stay free on the disk after n more are written.
func (s *Spool) checkFree(n, least int64) error {
	if free := s.free.Load(); n > free-least {
		return fmt.Errorf("%w: %d bytes are free, at least %d are needed", ErrNoDisk, free, n+least)
	}
	return nil
}

// release closes the files. No caller waits for the committer any more.
func (s *Spool) release() {
	s.recovery.Wait() // a recovery stops when the spool is closed
	if s.loaded && !s.recovering.Load() {
		s.writeMark(true)
	}
	for _, j := range s.journals {
		j.seal()
		closeAll(j.all())
	}
	if s.lock != nil {
		_ = s.lock.Close()
	}
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// isDiskFailure reports whether err may go away, by itself or once somebody mends the disk. Any
// other error is a mistake in the configuration.
func isDiskFailure(err error) bool {
	return isNoSpace(err) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EIO)
}
