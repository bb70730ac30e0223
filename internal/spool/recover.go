package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// ErrOld means that the directory has a spool in a format that was never released.
var ErrOld = errors.New("there is a spool.db, as a bridge built before December 2026 wrote it: " +
	"run that build (commit fbac23b is the last one) until its spool is empty, or use its `bridge spool export` and `import`, and remove the file")

const oldName = "spool.db"

// recovery is the result of reading a spool's journals.
type recovery struct {
	queued [journals]int64      // by how much the spool's counts change
	bytes  [publish.Kinds]int64 // the same
	damage []error
}

// openJournals opens the files of the directory.
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
	isThere := slices.Contains(names, lockName)
	for i := range segments {
		for _, name := range names {
			number, salt, ok := parseName(name, journalName(i))
			if !ok {
				continue
			}
			in, err := openSegment(d, filepath.Join(dir, name), flag, number, salt)
			if errors.Is(err, os.ErrNotExist) && flag == os.O_RDONLY { // delivered and removed meanwhile
				continue
			}
			if err != nil {
				closeAll(slices.Concat(segments[:]...))
				return m, segments, err
			}
			if in.number == m.ends[i].segment {
				in.durable.Store(int64(m.ends[i].bytes))
			}
			for _, s := range segments[i] {
				if s.number == in.before {
					s.durable.Store(max(s.durable.Load(), in.known))
				}
			}
			segments[i] = append(segments[i], in)
		}
		isThere = isThere || len(segments[i]) > 0
	}
	if !isThere {
		err = os.ErrNotExist
	}
	return m, segments, err
}

func closeAll(segments []*segment) {
	for _, in := range segments {
		_ = in.file.Close()
	}
}

// load opens the spool's files and begins to read them.
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
	s.loaded = true
	names, _ := s.disk.list(s.config.Dir)
	for _, name := range names {
		if strings.HasSuffix(name, ".log"+newSuffix) { // a crash has cut the copying short
			_ = s.disk.remove(s.path(name))
		}
	}
	highest := slices.Max(m.delivered[:])
	s.mu.Lock()
	for i, j := range s.journals {
		j.settled, j.delivered = m.delivered[i], m.delivered[i]
		if last := lastOf(segments[i]); last != nil {
			j.replace(segments[i])
			highest = max(highest, last.number)
			s.bytes[i%publish.Kinds].Add(j.size()) // the most that it can be; exact after the recovery
		}
	}
	s.mu.Unlock()
	// Old segments are never continued, so all numbers in a segment are of one run.
	if highest > 0 {
		s.next = (highest>>runBits + 1) << runBits
	}
	s.last.Store(s.next - 1)
	s.recover()
	return nil
}

// runBits is the number of low bits that count the records of one run of the bridge; the bits above
// count the runs. So no number is used twice, even before the last run's records have been read.
const runBits = 40

// recover begins to read all segments in the background. Meanwhile new records go into new segments
// and nothing is delivered. Of two records with one id, the one that is found later is dropped.
func (s *Spool) recover() {
	s.mustRecover.Store(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recovering.Store(true)
	s.ids, s.dropped = newIDs(), make(map[uint64]struct{})
	var delivered [journals]uint64
	var segments [journals][]*segment
	f := &recovery{}
	total := int64(0)
	for i, j := range s.journals {
		delivered[i], segments[i] = j.settled, j.all()
		j.active = nil
		total += j.size()
		if len(segments[i]) > 0 {
			j.queued.CompareAndSwap(0, 1) // there may be some records
		}
		f.queued[i] = -j.queued.Load()
	}
	for kind := range s.bytes {
		f.bytes[kind] = -s.bytes[kind].Load()
	}
	s.bytesRead.Store(0)
	s.bytesToRead.Store(total)
	s.recovery.Go(func() {
		for _, of := range segments { // first: a record that is found counts as durable
			for _, in := range of {
				in.makeDurable()
			}
		}
		if f.scan(segments, delivered, func(i int, r *Record) error { return s.recoverRecord(f, i, r) }) == nil {
			s.recovered <- f
		}
	})
}

// recoverAgain requests another recovery, because the records on disk aren't those that are counted.
func (s *Spool) recoverAgain() {
	s.mustRecover.Store(true)
	signal(s.wake)
}

// recoverRecord counts a record, unless it is a copy of another. The error ends the recovery.
func (s *Spool) recoverRecord(f *recovery, i int, r *Record) error {
	s.bytesRead.Add(r.size)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case !s.ids.add(idOf(r.Kind, r.ID)):
		s.dropped[r.Seq] = struct{}{}
	default:
		f.queued[i]++
		f.bytes[r.Kind] += r.size
	}
	return nil
}

// scan calls visit with each record, first with those that are set aside, so that none counts as
// waiting. It notes damage. An error of visit ends it.
func (f *recovery) scan(segments [journals][]*segment, delivered [journals]uint64, visit func(i int, r *Record) error) error {
	for n := range journals {
		i := setAside - n
		f.checkFiles(segments[i], delivered[i])
		c := &cursor{segments: func() []*segment { return segments[i] }, seq: delivered[i], damage: f.note}
		last := make(map[*segment]uint64)
		r, err := c.next()
		for ; err == nil; r, err = c.next() {
			last[r.at.segment] = r.Seq
			if err := visit(i, &r); err != nil {
				return err
			}
		}
		if !errors.Is(err, io.EOF) {
			return err
		}
		for _, in := range segments[i] {
			in.last = last[in]
		}
	}
	return nil
}

// checkFiles looks for missing files and bytes.
func (f *recovery) checkFiles(segments []*segment, delivered uint64) {
	for i, in := range segments {
		// It isn't always the one just before: that one may be a file that was begun and never used.
		isThere := slices.ContainsFunc(segments[:i], func(s *segment) bool { return s.number == in.before })
		switch end := in.end.Load(); {
		case end < in.durable.Load():
			f.spoil(in, end, errors.New("the file is too short"))
		case i > 0 && !in.damaged.Load() && !isThere && in.before > delivered:
			f.damage = append(f.damage, fmt.Errorf("a file is missing before %s", in.path))
		}
	}
}

// note notes damage. An unreadable end behind the bytes that were certainly durable is no damage: a
// crash cut a write short, and nothing of it was acknowledged.
func (f *recovery) note(in *segment, from int64, isEnd bool, err error) {
	if isEnd && from >= in.durable.Load() {
		in.end.Store(from)
		return
	}
	f.spoil(in, from, err)
}

func (f *recovery) spoil(in *segment, from int64, err error) {
	in.damaged.Store(true)
	f.damage = append(f.damage, fmt.Errorf("%s, from byte %d on: %w", in.path, from, err))
}

// adopt uses the result of a recovery.
func (s *Spool) adopt(f *recovery) {
	s.mu.Lock()
	for kind, n := range f.bytes {
		s.bytes[kind].Add(n)
	}
	for i, j := range s.journals {
		j.queued.Add(f.queued[i])
		j.head = position{}
	}
	s.recovering.Store(false)
	s.mu.Unlock()
	for _, j := range s.journals {
		s.removeSettled(j)
		signal(j.changed)
	}
	if n := len(f.damage); n > 0 {
		s.config.Log.Error("spool is damaged and some records are lost: the others are delivered, and then the damaged files are renamed to *"+damagedSuffix,
			zap.String("directory", s.config.Dir), zap.Int("places", n), zap.Errors("damage", f.damage[:min(n, 20)]))
	}
}

// check rewrites files that were removed, or whose sync failed. Their contents can be read as long
// as they are open.
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
	var doubtful []string
	var failure error
	for _, j := range s.journals {
		for _, in := range j.all() {
			isThere := slices.Contains(names, filepath.Base(in.path))
			switch {
			case isThere && !in.doubt.Load():
				continue
			case isThere && in.whole() < in.end.Load(): // a copy could be worse than what is on disk
				in.doubt.Store(false)
				s.mustRecover.Store(true)
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
	if len(doubtful) > 0 && !s.isMissingLogged {
		s.config.Log.Error("files of the spool in use were removed or could not be synced: their records are written to new files",
			zap.String("directory", s.config.Dir), zap.String("files", strings.Join(doubtful, " ")), zap.Error(failure))
	}
	s.isMissingLogged = failure != nil
}
