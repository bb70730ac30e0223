package spool

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// retireAt is the size from which the active segment is removed once all its records are settled. To a
// smaller one more records are appended.
const retireAt = 1 << 20

// Settle removes records from the beginning of the kind's queue, as [Spool.Next] has returned them.
// Those with a Reason are set aside, and Settle waits until that is durable. After an error no record is
// removed. If a recovery has begun since Next, that is an error: call Next again. Settle doesn't wait until
// the removal is durable: after a crash Next may return the records again.
func (s *Spool) Settle(kind publish.Kind, records []Record) error {
	return s.settle(s.journals[kind], records)
}

// Discard removes records that were set aside. Those before them move to the end, because a journal
// can shrink only from its beginning.
func (s *Spool) Discard(seqs []uint64) error {
	last := slices.Max(seqs)
	for after := uint64(0); after < last; {
		records, err := s.SetAside(after, maxRecords)
		if len(records) == 0 && s.recovering.Load() {
			return errRecovering
		}
		if err != nil || len(records) == 0 {
			return err
		}
		after = records[len(records)-1].Seq
		records = slices.DeleteFunc(records, func(r Record) bool { return r.Seq > last })
		for i, r := range records {
			if slices.Contains(seqs, r.Seq) {
				records[i].Reason = ""
			}
		}
		if err := s.settle(s.journals[setAside], records); err != nil {
			return err
		}
	}
	return nil
}

func (s *Spool) settle(j *journal, records []Record) error {
	if len(records) == 0 {
		return nil
	}
	if err := s.move(j, records); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isOutdated(records) {
		s.recoverAgain() // those that move has written count as set aside, and still in the queue
		return errRecovering
	}
	for _, r := range records {
		if s.dropped[r.Seq] {
			delete(s.dropped, r.Seq)
			continue
		}
		s.ids.remove(idOf(r.Kind, r.ID))
		s.bytes[r.Kind].Add(-r.size)
		j.queued.Add(-1)
	}
	last := records[len(records)-1]
	j.settled, j.head = last.Seq, position{last.at.segment, last.at.offset + last.size}
	if j.queued.Load() == 0 {
		j.oldest = time.Time{}
		signal(j.changed)
	}
	signal(s.wake)
	return nil
}

// isOutdated reports whether a recovery has begun since the records were read. It may have dropped one of
// them and kept another copy, which must not be removed. s.mu must be held.
func (s *Spool) isOutdated(records []Record) bool {
	return s.recovering.Load() || slices.ContainsFunc(records, func(r Record) bool { return r.recoveries != s.recoveries })
}

var errRecovering = errors.New("spool is being read")

// move writes those of a journal's records that have a reason to the journal of those set aside. If the
// records are outdated, it returns an error.
func (s *Spool) move(from *journal, records []Record) (err error) {
	aside := s.journals[setAside]
	var batch []*waiting
	for _, r := range records {
		if r.Reason != "" {
			batch = append(batch, newWaiting(&r, aside, from))
		}
	}
	s.mu.Lock()
	switch {
	case s.closed:
		err = ErrClosed
	case s.isOutdated(records):
		err = errRecovering
	default:
		aside.pending = append(aside.pending, batch...)
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	signal(s.wake)
	for _, w := range batch {
		<-w.done
		err = cmp.Or(err, w.err)
	}
	return err
}

// remove removes the segments whose records are all settled, and writes the mark. The mark doesn't pass a
// segment that the disk failed to read until that is renamed: the next process may be able to read it. If a
// loss of power undoes a removal, the segment is delivered again.
func (s *Spool) remove() {
	if s.recovering.Load() {
		return
	}
	before := s.mark
	for i, j := range s.journals {
		s.mu.Lock()
		settled := j.settled
		s.mu.Unlock()
		all := j.all()
		isDone := func(in *segment) bool {
			return in.last <= settled && (in != j.active || in.end.Load() >= retireAt)
		}
		for len(all) > 0 && isDone(all[0]) {
			in, rest := all[0], all[1:]
			all = rest
			j.segments.Store(&rest)
			if in == j.active {
				j.active = nil
			}
			if err := in.remove(); err != nil {
				s.config.Log.Warn("a delivered file of the spool can't be removed", zap.String("file", in.path), zap.Error(err))
				j.keepMark = j.keepMark || in.readErr.Load() != nil
			}
		}
		if !j.keepMark && !slices.ContainsFunc(all, func(in *segment) bool { return in.readErr.Load() != nil }) {
			s.mark[i] = settled
		}
	}
	if s.mark != before {
		s.writeMark(false)
	}
}
