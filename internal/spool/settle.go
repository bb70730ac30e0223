package spool

import (
	"slices"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// retireAt is the size from which the active segment is removed once all of it is settled. A smaller
// one is used again.
const retireAt = 1 << 20

// Settle removes records from the beginning of the kind's queue, as [Spool.Next] has returned them.
// Those that have a Reason now are set aside, and Settle waits until that is on disk. After an error
// no record is removed. It doesn't wait until the removal is on disk: after a crash records may come
// again.
func (s *Spool) Settle(kind publish.Kind, records []Record) error {
	return s.settle(s.journals[kind], records)
}

// Discard removes records that were set aside. Those before them move to the end, because a journal
// can shrink only from its beginning.
func (s *Spool) Discard(seqs []uint64) error {
	last := slices.Max(seqs)
	for after := uint64(0); after < last; {
		records, err := s.SetAside(after, maxRecords)
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
	var moved []*waiting
	for _, r := range records {
		if r.Reason != "" {
			moved = append(moved, newWaiting(&r, s.journals[setAside]))
		}
	}
	begun := s.recoveries.Load()
	if err := s.move(moved); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recovering.Load() || s.recoveries.Load() != begun { // it has dropped what was moved as copies
		return errRecovering
	}
	for _, r := range records {
		if _, isDropped := s.dropped[r.Seq]; isDropped {
			delete(s.dropped, r.Seq)
			continue
		}
		if r.Reason == "" {
			s.ids.remove(idOf(r.Kind, r.ID))
		}
		s.bytes[r.Kind].Add(-r.size)
		j.queued.Add(-1)
	}
	last := records[len(records)-1]
	j.settled, j.head = last.Seq, position{last.at.segment, last.at.offset + last.size}
	if j.queued.Load() == 0 {
		j.oldest.Store(0)
		signal(j.changed)
	}
	signal(s.wake)
	return nil
}

// move writes records to the journal of those set aside.
func (s *Spool) move(moved []*waiting) (err error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	aside := s.journals[setAside]
	aside.pending = append(aside.pending, moved...)
	s.mu.Unlock()
	signal(s.wake)
	written := 0
	for _, w := range moved {
		if <-w.done; w.err != nil {
			err = w.err
		} else {
			written++
		}
	}
	if err != nil && written > 0 { // those are there twice now
		s.recoverAgain()
	}
	return err
}

// remove removes the segments of which all is settled, and writes the mark. A segment that comes
// back after a loss of power is delivered again.
func (s *Spool) remove() {
	if s.recovering.Load() {
		return
	}
	s.mu.Lock()
	isNew := false
	for _, j := range s.journals {
		isNew = isNew || j.settled != j.delivered
		j.delivered = j.settled
	}
	s.mu.Unlock()
	for _, j := range s.journals {
		all := j.all()
		isDone := func(in *segment) bool {
			return in.last <= j.delivered && (in != j.active || in.end.Load() >= retireAt)
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
			}
		}
	}
	if isNew {
		s.writeMark(false)
	}
}
