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
	upTo    [journals]uint64  // delivered or set aside, up to here
	reasons map[uint64]string // of those in a queue, the ones set aside, and why
	discard map[uint64]bool   // of those set aside, the ones that are delivered
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
	// A step of settling has so much and no more: others wait meanwhile.
	stepRecords = 4096
	stepBytes   = 4 << 20
	// retireAt is how large a journal in which nothing is left may be: a small one is used again.
	retireAt = 1 << 20
)

// operate does some of what is pending, and reports whether it wrote.
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

// settleUpTo forgets a journal's records up to a number, or sets them aside. It does one step, reports
// whether there is more, and gives back the segments in which nothing is left.
//
// What was set aside and is not delivered, while some behind it is, moves to the end of its journal. So
// every journal is given back from its beginning, and few records don't keep many bytes.
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
	s.giveBack(j)
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

// step is what is settled at once.
type step struct {
	ids     []id // of those that are gone
	moved   []*raw
	dropped []uint64
	records int64
	bytes   [publish.Kinds]int64 // how many more
}

// walk goes over the records up to a number. It reports whether there are more, and leaves the cursor
// before the first one that stays.
func (s *Spool) walk(i int, upTo uint64, o operations, step *step) (more bool, err error) {
	c := &s.journals[i].settle
	for size := int64(0); step.records < stepRecords && size < stepBytes; {
		r, err := c.next()
		if errors.Is(err, io.EOF) {
			s.oldest[i].Store(0)
			if s.queued[i].Load() != step.records { // more is lost than is known
				s.isDamaged.Store(true)
			}
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if _, ok := s.dropped[r.seq]; ok { // only the committer changes it
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

// giveBack removes the segments before a journal's head; all where nothing waits and it is worth it.
// What comes back nevertheless, after a loss of power, is delivered again.
func (s *Spool) giveBack(j *journal) {
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
			s.config.Log.Warn("a file of the spool in which nothing is left can't be removed", zap.String("file", in.path), zap.Error(err))
		}
		_ = s.disk.syncDir(s.config.Dir) // or a later one could be gone and this one come back: it would look like damage
	}
}
