package spool

import (
	"errors"
	"io"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// operations are pending changes to records that are on disk.
type operations struct {
	upTo    [journals]uint64  // records up to this number are delivered or set aside
	reasons map[uint64]string // why records of a queue are set aside, by number
	discard map[uint64]bool   // the records set aside that are delivered
}

func (o *operations) merge(more operations) {
	for i := range o.upTo {
		o.upTo[i] = max(o.upTo[i], more.upTo[i])
	}
	if o.reasons == nil {
		o.reasons, o.discard = make(map[uint64]string), make(map[uint64]bool)
	}
	maps.Copy(o.reasons, more.reasons)
	maps.Copy(o.discard, more.discard)
}

func (o *operations) areNone() bool { return o.upTo == [journals]uint64{} }

const (
	// A step of settling is bounded, because appends wait meanwhile.
	stepRecords = 4096
	stepBytes   = 4 << 20
	// retireAt is the size from which an empty journal is removed; a smaller one is used again.
	retireAt = 1 << 20
)

// operate does a part of the pending operations and reports whether it wrote.
func (s *Spool) operate() (wrote bool, err error) {
	if s.recovering.Load() || !s.loaded {
		return false, nil
	}
	if s.isDamaged.Load() {
		s.recover()
		return false, nil
	}
	s.mu.Lock()
	o := s.operations
	s.operations = operations{}
	s.mu.Unlock()
	if o.areNone() {
		return false, nil
	}
	again := false
	for i, upTo := range o.upTo {
		if upTo == 0 {
			continue
		}
		var more bool
		if more, err = s.settleUpTo(i, min(upTo, s.next-1), o); more || err != nil {
			again = true
			break
		}
	}
	if again {
		s.request(o)
	}
	s.writeMark(false)
	if errors.Is(err, errDamaged) {
		s.isDamaged.Store(true)
		return false, nil
	}
	return true, err
}

// settleUpTo removes a journal's records up to a number, or sets them aside. It does one step,
// removes the segments that are empty then, and reports whether there is more to do.
//
// A record that stays set aside, while later ones are delivered, moves to the end of its journal.
// So every journal shrinks from its beginning, and a few records don't keep many bytes.
func (s *Spool) settleUpTo(i int, upTo uint64, o operations) (more bool, err error) {
	j := s.journals[i]
	begin := j.settle.position
	var step step
	if more, err = s.walk(i, upTo, o, &step); err == nil && len(step.moved) > 0 {
		err = s.write(s.journals[setAside], step.moved)
	}
	if err != nil {
		j.settle.position, j.settle.buf = begin, nil
		return false, err
	}
	s.mu.Lock()
	for _, x := range step.ids {
		s.ids.remove(x)
	}
	for _, seq := range step.dropped {
		delete(s.dropped, seq)
	}
	s.mu.Unlock()
	s.removeBefore(j)
	for kind, n := range step.bytes {
		s.bytes[kind].Add(n)
	}
	s.queued[i].Add(-step.records)
	s.queued[setAside].Add(int64(len(step.moved)))
	s.last.Store(s.next - 1)
	s.mark.delivered[i] = max(s.mark.delivered[i], j.settle.seq)
	if i < publish.Kinds && step.records > 0 && s.queued[i].Load() == 0 {
		signal(s.changes[i])
	}
	return more, nil
}

// step is the result of one step of settling.
type step struct {
	ids     []id // of the removed records
	moved   []*raw
	dropped []uint64
	records int64
	bytes   [publish.Kinds]int64 // change
}

// walk reads the records up to a number, and leaves the cursor before the next. It reports whether
// the step ended before that number.
func (s *Spool) walk(i int, upTo uint64, o operations, step *step) (more bool, err error) {
	c := &s.journals[i].settle
	for size := int64(0); step.records < stepRecords && size < stepBytes; {
		r, err := c.next()
		if errors.Is(err, io.EOF) {
			s.oldest[i].Store(0)
			if s.queued[i].Load() != step.records { // records were lost unnoticed
				s.isDamaged.Store(true)
			}
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if _, ok := s.dropped[r.seq]; ok { // without the lock: only the committer changes it
			step.dropped = append(step.dropped, r.seq)
			continue
		}
		x, arrived, err := r.id()
		if err != nil {
			return false, err
		}
		if r.seq > upTo {
			s.oldest[i].Store(arrived)
			c.back(r)
			return false, nil
		}
		step.records++
		step.bytes[r.kind] -= r.size()
		reason, keep := o.reasons[r.seq]
		if i == setAside {
			keep = !o.discard[r.seq]
		}
		if !keep {
			step.ids = append(step.ids, x)
			continue
		}
		record, err := r.decode()
		if err != nil {
			return false, err
		}
		if i != setAside {
			record.Reason = reason
		}
		moved := &raw{kind: r.kind, seq: s.next, payload: record.encode()}
		s.next++
		step.moved = append(step.moved, moved)
		step.bytes[r.kind] += moved.size()
		size += r.size()
	}
	return true, nil
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
