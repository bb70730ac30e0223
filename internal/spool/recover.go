package spool

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// ErrOld says that there is a spool of a kind that was never released.
var ErrOld = errors.New("there is a spool.db, as a bridge built before December 2026 wrote it: " +
	"run that build (commit fbac23b is the last one) until its spool is empty, or use its `bridge spool export` and `import`, and remove the file")

const oldName = "spool.db"

// recovery is what was found in a spool's journals.
type recovery struct {
	ids     ids
	queued  [journals]int64
	bytes   [publish.Kinds]int64
	dropped map[uint64]struct{}
	damage  []error
	stopped bool     // it isn't all
	cut     []string // what was cut short by a crash, and never acknowledged
}

// openJournals opens what there is.
func openJournals(d disk, dir string, flag int) (m mark, segments [journals][]*segment, err error) {
	names, err := d.list(dir)
	if err != nil {
		return m, segments, err
	}
	if slices.Contains(names, oldName) {
		return m, segments, fmt.Errorf("%s: %w", dir, ErrOld)
	}
	if m, err = readMark(d, filepath.Join(dir, markName)); err != nil {
		return m, segments, err
	}
	isThere := slices.Contains(names, lockName) || slices.Contains(names, markName)
	for i := range segments {
		for _, name := range names {
			number, salt, ok := parseName(name, journalName(i))
			if !ok {
				continue
			}
			in, err := openSegment(d, filepath.Join(dir, name), flag, number, salt)
			if errors.Is(err, os.ErrNotExist) && flag == os.O_RDONLY { // delivered meanwhile
				continue
			}
			if err != nil {
				closeAll(segments)
				return m, segments, err
			}
			segments[i] = append(segments[i], in)
		}
		isThere = isThere || len(segments[i]) > 0
		slices.SortFunc(segments[i], func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
	}
	if !isThere {
		err = os.ErrNotExist
	}
	return m, segments, err
}

func closeAll(segments [journals][]*segment) {
	for _, in := range slices.Concat(segments[:]...) {
		_ = (*in.file.Load()).Close()
	}
}

// load opens the spool's files, and begins to read what is in them.
func (s *Spool) load() (err error) {
	if s.lock == nil {
		if s.lock, err = s.disk.lock(s.config.Dir); err != nil {
			return err
		}
	}
	m, segments, err := openJournals(s.disk, s.config.Dir, os.O_RDWR)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.mark, s.loaded = m, true
	highest, some := slices.Max(m.delivered[:]), false
	for i, j := range s.journals {
		if len(segments[i]) > 0 {
			some = true
			j.replace(segments[i])
			j.number = lastOf(segments[i]).number
			highest = max(highest, j.number)
			s.bytes[i%publish.Kinds].Add(j.size()) // at the most, until it is known
		}
	}
	// No segment is continued that was begun before: so its records' numbers are in the same run.
	if highest > 0 {
		s.next = (highest>>runBits + 1) << runBits
	}
	s.last.Store(s.next - 1)
	if some {
		s.recover()
	}
	return nil
}

// runBits is how many bits of a number count within one run of the bridge; those above count the runs.
// So no number is given twice, though those of the last run's records aren't known at once.
const runBits = 40

// recover begins to read everything there is. Meanwhile what comes goes into new segments, nothing is
// delivered, and a record is taken without asking whether it is there already: if it is, the later one
// is dropped at the end.
func (s *Spool) recover() {
	s.isDamaged.Store(false)
	s.recovering.Store(true)
	var segments [journals][]*segment
	total := int64(0)
	for i, j := range s.journals {
		segments[i] = j.all()
		j.active = nil
		total += j.size()
		if len(segments[i]) > 0 {
			s.queued[i].CompareAndSwap(0, 1) // there may be some
		}
	}
	s.all.Store(total)
	s.mu.Lock()
	s.ids, s.came = new(ids), nil
	s.mu.Unlock()
	m := s.mark
	go func() {
		for _, of := range segments { // what a process wrote that was killed before its sync counts as kept
			if last := lastOf(of); last != nil && (*last.file.Load()).Sync() != nil {
				last.doubt.Store(true)
			}
		}
		s.recovered <- scan(segments, m, nil, func(n int64) bool {
			s.read.Add(n)
			s.mu.Lock()
			defer s.mu.Unlock()
			return !s.closed
		})
	}()
}

// scan reads journals: first what is set aside, so that its records aren't taken for waiting ones. It
// tells progress how many bytes more are read, which can stop it, and shows visit what waits.
func scan(segments [journals][]*segment, m mark, visit func(*raw) error, progress func(n int64) bool) *recovery {
	f := &recovery{dropped: make(map[uint64]struct{})}
	for n := range journals {
		i := setAside - n
		f.checkFiles(segments[i], m.ends[i], m.delivered[i])
		c := &cursor{follow: func(x *segment) *segment { return following(segments[i], x) }, position: position{seq: m.delivered[i]}}
		c.damage = func(in *segment, from int64, isEnd bool, err error) {
			f.note(durableBytes(segments[i], m.ends[i], in), in, from, isEnd, err)
		}
		read := int64(0)
		for r, err := c.next(); err == nil; r, err = c.next() {
			if read += r.size(); read > chunk {
				if !progress(read) {
					f.stopped = true
					return f
				}
				read = 0
			}
			if f.add(i, &r) && visit != nil {
				if err := visit(&r); err != nil {
					f.damage = append(f.damage, err)
					return f
				}
			}
		}
		progress(read)
	}
	return f
}

// add reports whether the record counts. One doesn't that is set aside too, or that came again while
// another recovery ran.
func (f *recovery) add(i int, r *raw) bool {
	x, _, err := r.id()
	if err != nil || r.kind >= publish.Kinds || !f.ids.add(x) {
		f.dropped[r.seq] = struct{}{}
		return false
	}
	f.queued[i]++
	f.bytes[r.kind] += r.size()
	return true
}

// checkFiles looks for what can be missed without reading.
func (f *recovery) checkFiles(segments []*segment, last end, delivered uint64) {
	for i, in := range segments {
		end := in.end.Load()
		switch known := durableBytes(segments, last, in); {
		case end < known:
			f.spoil(in, end, errors.New("the file is too short"))
		case i > 0 && !in.damaged.Load() && in.before != segments[i-1].number && in.before > delivered:
			f.damage = append(f.damage, fmt.Errorf("a file is missing before %s", in.path))
		}
	}
}

// durableBytes returns how much of a segment is known to have been durable.
func durableBytes(segments []*segment, last end, in *segment) (known int64) {
	if last.segment == in.number {
		known = int64(last.bytes)
	}
	if next := following(segments, in); next != nil && next.before == in.number {
		known = max(known, next.known)
	}
	return known
}

// note notes damage. What stands at a segment's end, and isn't known to have been durable, is none: a
// crash has cut it short, and it was never acknowledged.
func (f *recovery) note(known int64, in *segment, from int64, isEnd bool, err error) {
	if isEnd && from >= known {
		f.cut = append(f.cut, fmt.Sprintf("%s at %d of %d bytes", in.path, from, in.end.Swap(from)))
		return
	}
	f.spoil(in, from, err)
}

func (f *recovery) spoil(in *segment, from int64, err error) {
	in.damaged.Store(true)
	f.damage = append(f.damage, fmt.Errorf("%s, from byte %d on: %w", in.path, from, err))
}

// adopt takes into use what was found.
func (s *Spool) adopt(f *recovery) {
	s.mu.Lock()
	for _, r := range s.came {
		if !f.ids.add(r.id) {
			f.dropped[r.seq] = struct{}{}
			continue
		}
		f.queued[r.kind]++
		f.bytes[r.kind] += r.size
	}
	s.ids, s.dropped, s.came = &f.ids, f.dropped, nil
	s.mu.Unlock()
	for kind, n := range f.bytes {
		s.bytes[kind].Store(n)
	}
	for i, j := range s.journals {
		s.queued[i].Store(f.queued[i])
		j.reading.Lock()
		j.mu.Lock()
		j.head = position{seq: s.mark.delivered[i]}
		j.settle, j.read = cursor{follow: j.after, position: j.head}, cursor{follow: j.after, position: j.head}
		j.mu.Unlock()
		j.reading.Unlock()
	}
	s.recovering.Store(false)
	for i := range s.journals {
		if _, err := s.settleUpTo(i, s.mark.delivered[i], operations{}); err != nil { // gives back what is delivered
			s.isDamaged.Store(true)
		}
		if i < publish.Kinds {
			signal(s.changes[i])
		}
	}
	s.tell(f)
}

// tell says what was lost, and what was cut off.
func (s *Spool) tell(f *recovery) {
	if len(f.cut) > 0 {
		s.config.Log.Info("writes to the spool were cut short by a crash: nothing of them was acknowledged", zap.Strings("files", f.cut))
	}
	if n := len(f.damage); n > 0 {
		s.config.Log.Error("spool is damaged: what can't be read is lost, the rest is kept; so are the damaged files, as *"+damagedSuffix+", once the rest of them is delivered",
			zap.String("directory", s.config.Dir), zap.Int("places", n), zap.Errors("damage", f.damage[:min(n, 20)]))
	}
}

// check looks whether the spool's files are still there, and writes those anew that aren't, or whose
// sync failed: as long as they are open all that was in them can be read.
func (s *Spool) check() {
	if !s.loaded {
		if err := s.load(); err != nil {
			s.failed(err)
		} else {
			s.writable()
		}
		return
	}
	names, err := s.disk.list(s.config.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return
	}
	if !slices.Contains(names, lockName) {
		if lock, err := s.disk.lock(s.config.Dir); err == nil {
			_ = s.lock.Close()
			s.lock = lock
		}
	}
	if s.markFile != nil && !slices.Contains(names, markName) {
		_ = s.markFile.Close()
		s.markFile = nil
	}
	var doubtful []string
	var failure error
	for _, j := range s.journals {
		for _, in := range j.all() {
			isThere := slices.Contains(names, filepath.Base(in.path))
			switch {
			case isThere && !in.doubt.Load():
				continue
			case isThere && !in.isWhole(): // what is on the disk may be better than what can be read now
				in.doubt.Store(false)
				s.isDamaged.Store(true)
				continue
			}
			doubtful = append(doubtful, filepath.Base(in.path))
			if in == j.active {
				j.active = nil
			}
			if err := in.rewrite(); err != nil {
				failure = err
			}
		}
	}
	if len(doubtful) > 0 && !s.doubted {
		s.config.Log.Error("files of the spool were removed, or could not be synced, while it is in use: what was in them is written into new ones",
			zap.String("directory", s.config.Dir), zap.String("files", strings.Join(doubtful, " ")), zap.Error(failure))
	}
	s.doubted = failure != nil
}
