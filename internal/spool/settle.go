package spool

import (
	"errors"
	"io"
	"slices"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

const (
	// stepRecords bounds a step of removing, because appends wait meanwhile.
	stepRecords = 4096
	// retireAt is the size from which an empty journal is removed; a smaller one is used again.
	retireAt = 1 << 20
)

// Settle removes records from the beginning of the kind's queue, as [Spool.Next] has returned them.
// Those in reasons are set aside, each with its reason, and Settle waits until they are on disk;
// after an error no record is removed. The rest follows: after a crash the records may come again.
func (s *Spool) Settle(kind publish.Kind, records []Record, reasons map[uint64]string) error {
	return s.settle(int(kind), records, reasons)
}

// Discard removes records that were set aside. Those before them move to the end. So every journal
// shrinks from its beginning, and a few records don't keep many bytes.
func (s *Spool) Discard(seqs []uint64) error {
	last := slices.Max(seqs)
	for after := uint64(0); after < last; {
		records, err := s.SetAside(after, maxRecords)
		if err != nil || len(records) == 0 {
			return err
		}
		after = records[len(records)-1].Seq
		reasons := make(map[uint64]string)
		n := 0
		for ; n < len(records) && records[n].Seq <= last; n++ {
			if !slices.Contains(seqs, records[n].Seq) {
				reasons[records[n].Seq] = records[n].Reason
			}
		}
		if err := s.settle(setAside, records[:n], reasons); err != nil {
			return err
		}
	}
	return nil
}

func (s *Spool) settle(i int, records []Record, reasons map[uint64]string) error {
	if len(records) == 0 {
		return nil
	}
	var moved []*waiting
	for _, r := range records {
		if reason, ok := reasons[r.Seq]; ok {
			old := &moving{journal: i, seq: r.Seq, size: newWaiting(r).size()}
			r.Reason = reason
			w := newWaiting(r)
			w.journal, w.old = setAside, old
			moved = append(moved, w)
		}
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.pending[setAside] = append(s.pending[setAside], moved...)
	s.mu.Unlock()
	signal(s.wake)
	for _, w := range moved {
		if <-w.done; w.err != nil {
			return w.err
		}
	}
	s.mu.Lock()
	s.settled[i] = max(s.settled[i], records[len(records)-1].Seq)
	s.mu.Unlock()
	signal(s.wake)
	return nil
}

// isUnsettled reports whether settled records are still to be removed. s.mu must be held.
func (s *Spool) isUnsettled() bool {
	for i, upTo := range s.settled {
		if upTo > s.mark.delivered[i] {
			return true
		}
	}
	return false
}

// remove does one step of removing the settled records.
func (s *Spool) remove() {
	if s.recovering.Load() || !s.loaded {
		return
	}
	if s.isDamaged.Load() {
		s.recover()
		return
	}
	s.mu.Lock()
	isAny, settled := s.isUnsettled(), s.settled
	s.mu.Unlock()
	if !isAny {
		return
	}
	for i, upTo := range settled {
		if upTo > s.mark.delivered[i] {
			s.removeUpTo(i, upTo)
		}
	}
	s.writeMark(false)
}

// removeUpTo does one step in a journal, and removes the segments that are empty then.
func (s *Spool) removeUpTo(i int, upTo uint64) {
	j := s.journals[i]
	isAny, isEnd := false, false
	for n := 0; n < stepRecords && !isEnd; n++ {
		r, err := j.settle.next()
		if errors.Is(err, io.EOF) {
			s.oldest[i].Store(0)
			if s.queued[i].Load() > 0 { // records were lost unnoticed
				s.isDamaged.Store(true)
			}
			isEnd = true
			break
		}
		if err != nil {
			s.isDamaged.Store(true)
			break
		}
		x, arrived, err := r.id()
		s.mu.Lock()
		_, isDropped := s.dropped[r.seq]
		switch {
		case r.seq > upTo:
			isEnd = true
			s.oldest[i].Store(arrived)
			j.settle.back(r)
		case isDropped:
			delete(s.dropped, r.seq)
		case err != nil:
			s.isDamaged.Store(true)
		default:
			isAny = true
			s.ids.remove(x)
			s.queued[i].Add(-1)
			s.bytes[r.kind].Add(-r.size())
		}
		s.mu.Unlock()
	}
	if isEnd {
		j.settle.seq = max(j.settle.seq, upTo)
	}
	s.mark.delivered[i] = max(s.mark.delivered[i], j.settle.seq)
	s.removeBefore(j)
	if i < publish.Kinds && isAny && s.queued[i].Load() == 0 {
		signal(s.changes[i])
	}
}

// removeBefore removes the segments before the head of a journal. It removes all of a large journal
// without records. A segment that comes back after a loss of power is delivered again.
func (s *Spool) removeBefore(j *journal) {
	head, all := j.settle.position, j.all()
	if head.segment == nil || len(all) == 0 {
		return
	}
	keep, last := head.segment.number, lastOf(all)
	if head.segment == last && head.offset >= last.end.Load() && (j.size() >= retireAt || last != j.active) {
		keep++
		j.active = nil
	}
	n := 0
	for n < len(all) && all[n].number < keep {
		n++
	}
	j.mu.Lock()
	j.head, j.segments = head, slices.Clone(all[n:])
	j.mu.Unlock()
	for _, in := range all[:n] {
		if err := in.remove(); err != nil {
			s.config.Log.Warn("an empty file of the spool can't be removed", zap.String("file", in.path), zap.Error(err))
		}
		_ = s.disk.syncDir(s.config.Dir) // in order: a gap between the segments would look like damage
	}
}
