package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// ErrVersion means that a file of the spool has another format.
var ErrVersion = errors.New("written by another version of the bridge, and left as it is: run that version until its spool is empty " +
	"and remove the file if it is still there, or set DATA_DIR to another directory")

// oldName is the spool's file in builds before December 2026.
const oldName = "spool.db"

// recovery reads a spool's journals, and holds the result.
type recovery struct {
	delivered [journals]uint64
	segments  [journals][]*segment
	retry     func(err error) bool // see cursor

	ids        ids
	dropped    map[uint64]bool // copies of other records
	queued     [journals]int64
	bytes      [publish.Kinds]int64
	damage     []error
	lastWrites []error  // like damage, but in the last write of a segment: a crash may have cut it short
	missing    []string // gaps in the sequence numbers
}

// openJournals opens the segments in the directory, and reads the mark.
func openJournals(d disk, dir string, flag int) (f *recovery, err error) {
	f = new(recovery)
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	names, err := d.list(dir)
	if err != nil {
		return f, err
	}
	isSpool := slices.Contains(names, lockName)
	for _, name := range names {
		i, number, salt, isOurs := parseName(name)
		switch {
		case isOurs:
			isSpool = true
			in, err := openSegment(d, filepath.Join(dir, name), flag, number, salt)
			switch {
			case err == nil:
				f.segments[i] = append(f.segments[i], in)
			case flag == os.O_RDWR || !errors.Is(err, os.ErrNotExist): // else a bridge has just removed it
				return f, err
			}
		case name == oldName || segmentName.MatchString(name):
			return f, fmt.Errorf("%s: %w", filepath.Join(dir, name), ErrVersion)
		}
	}
	f.delivered, err = readMark(d, dir)
	switch {
	case flag == os.O_RDWR:
		if err != nil {
			err = d.remove(filepath.Join(dir, markName))
		}
		// A mark that was removed, now or by an earlier process, must not be back after a loss of power:
		// the numbers may begin at 1 again, and of delivered records new ones may be copies.
		if f.delivered == [journals]uint64{} {
			err = cmp.Or(err, d.syncDir(dir))
		}
		return f, err
	case !isSpool:
		return f, os.ErrNotExist
	}
	return f, nil
}

func (f *recovery) close() { closeAll(slices.Concat(f.segments[:]...)) }

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
	found, err := openJournals(s.disk, s.config.Dir, os.O_RDWR)
	if err != nil {
		return err
	}
	s.loaded, s.mark = true, found.delivered
	highest := slices.Max(s.mark[:])
	s.mu.Lock()
	for i, j := range s.journals {
		j.settled = s.mark[i]
		if segments := found.segments[i]; len(segments) > 0 {
			j.segments.Store(&segments)
			highest = max(highest, segments[len(segments)-1].number)
			s.bytes[i%publish.Kinds].Add(j.size()) // an upper bound until the recovery ends
		}
	}
	s.mu.Unlock()
	// No record is appended to an old segment, so all numbers in a segment are of one run.
	if highest > 0 {
		s.next = skip(highest, runBits)
	}
	s.last.Store(s.next - 1)
	s.earlier.Store(s.next - 1)
	s.recover()
	return nil
}

// runBits is the number of low bits that count the records of one run of the bridge; the bits above
// count the runs. So no number is used twice, even before the last run's records have been read.
const runBits = 40

// failureBits is the number of low bits that are skipped after a failed write, which may leave a gap.
const failureBits = 24

// skip returns the next higher multiple of 1<<bits.
func skip(number uint64, bits int) uint64 { return (number>>bits + 1) << bits }

// recover begins to read all segments in the background. Meanwhile new records go into new segments
// and nothing is delivered. Of two records with one id, the one that is found later is dropped if the
// first is durable.
func (s *Spool) recover() {
	for _, j := range s.journals {
		j.seal()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recovering.Store(true)
	s.mustRecover.Store(false)
	s.recoveries++
	s.ids, s.meanwhile = ids{}, nil
	found := &recovery{retry: s.patience()}
	total := int64(0)
	for i, j := range s.journals {
		found.delivered[i], found.segments[i] = j.settled, j.all()
		total += j.size()
		if len(j.all()) > 0 {
			j.queued.CompareAndSwap(0, 1) // records may wait
		}
	}
	s.bytesRead.Store(0)
	s.bytesToRead.Store(total)
	s.recovery.Go(func() {
		err := found.scan(func(r *Record) error {
			s.bytesRead.Add(r.size)
			if s.isClosed() {
				return ErrClosed
			}
			return nil
		})
		if err == nil && !s.isClosed() { // closing ends the repetition of failed reads, so records may seem lost
			s.recovered <- found
		}
	})
}

// patience returns a function that waits after a failed read, and reports whether to try again. The disk,
// or the network in front of it, may work again soon, and then nothing is lost.
func (s *Spool) patience() func(err error) bool {
	var since time.Time
	return func(err error) bool {
		bound := cmp.Or(s.config.ReadPatience, readPatience)
		switch {
		case since.IsZero():
			since = time.Now()
			s.config.Log.Warn("the disk fails to read the spool: trying again; until that works, nothing in it is delivered",
				zap.Duration("at_most", bound), zap.Error(err))
		case time.Since(since) >= bound:
			return false
		}
		time.Sleep(min(tick, bound))
		return !s.isClosed()
	}
}

// recoverAgain requests another recovery: the counted records aren't those on disk.
func (s *Spool) recoverAgain() {
	s.mustRecover.Store(true)
	signal(s.wake)
}

// scan counts the records and calls visit with each. Those that are set aside come first, so that their
// copies in the queues don't count as waiting. Parts that can't be read are damage, except in a segment's
// last write: a crash may have cut it short before it was acknowledged. An error of visit ends the scan.
func (f *recovery) scan(visit func(r *Record) error) error {
	f.dropped = make(map[uint64]bool)
	for n := range journals {
		i := setAside - n
		c := &cursor{seq: f.delivered[i], retry: f.retry}
		for _, in := range f.segments[i] {
			if err := f.scanSegment(c, in, i, visit); err != nil {
				return err
			}
		}
	}
	f.findMissing()
	return nil
}

// findMissing finds the gaps in the sequence numbers: segments were removed. After a crash these may be
// delivered ones, because the mark may be older than their removal.
func (f *recovery) findMissing() {
	all := slices.Concat(f.segments[:]...)
	slices.SortFunc(all, func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
	reached := slices.Max(f.delivered[:])
	for _, in := range all {
		if first := max(reached+1, in.number>>failureBits<<failureBits); first < in.number {
			f.missing = append(f.missing, fmt.Sprintf("from %016x to %016x", first, in.number-1))
		}
		reached = max(reached, in.number, in.last)
	}
}

// scanSegment is scan for one segment of journal i.
func (f *recovery) scanSegment(c *cursor, in *segment, i int, visit func(r *Record) error) error {
	type place struct {
		offset        int64
		isFirstHeader bool // it is in one sector, so no crash cuts it short
		err           error
	}
	var unreadable []place
	c.damage = func(from, to int64, err error) {
		isFirstHeader := from == 0 && errors.Is(err, errHeader)
		unreadable = append(unreadable, place{from, isFirstHeader, fmt.Errorf("%s, from byte %d on: %w", in.path, from, err)})
		// An unreadable end is cut off, unless the disk fails to read it, or the first header is wrong:
		// then the file may have another one's name, whose salt doesn't fit, and be whole.
		if to >= in.end.Load() && in.readErr.Load() == nil && !isFirstHeader {
			in.end.Store(from)
			return
		}
		in.damaged.Store(true)
		in.skips.Store(from, to)
	}
	c.seek(position{segment: in})
	var lastWrite []id
	from := int64(0)
	r, err := c.next(nil)
	for ; err == nil; r, err = c.next(nil) {
		if c.durable > from {
			lastWrite, from = lastWrite[:0], c.durable
		}
		id := idOf(r.Kind, r.ID)
		if f.ids.hasDurable(id) {
			f.dropped[r.Seq] = true
			continue
		}
		f.ids.add(id)
		lastWrite = append(lastWrite, id)
		f.queued[i]++
		f.bytes[r.Kind] += r.size
		if err := visit(&r); err != nil {
			return err
		}
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	in.last = c.seq
	for _, p := range unreadable {
		switch failure := in.readErr.Load(); {
		case failure != nil:
			f.damage = append(f.damage, fmt.Errorf("%w: %w", p.err, *failure))
		case p.offset < c.durable, p.isFirstHeader:
			f.damage = append(f.damage, p.err)
		default:
			f.lastWrites = append(f.lastWrites, p.err)
		}
	}
	if in.mayBeUnsynced && in.makeDurable(c.durable) != nil {
		for _, id := range lastWrite {
			f.ids.doubt(id)
		}
	}
	return nil
}

// adopt takes over the result of a recovery.
func (s *Spool) adopt(f *recovery) {
	s.mu.Lock()
	s.ids, s.dropped = f.ids, f.dropped
	for kind, n := range f.bytes {
		s.bytes[kind].Store(n)
	}
	for i, j := range s.journals {
		j.queued.Store(f.queued[i])
		j.head = position{} // a damaged part may begin before it
	}
	for _, w := range s.meanwhile {
		s.count(w)
	}
	s.meanwhile = nil
	s.recovering.Store(false)
	s.mu.Unlock()
	for _, j := range s.journals {
		signal(j.changed)
	}
	report := func(level zapcore.Level, message string, n int, places zap.Field) {
		if n > 0 {
			s.config.Log.Log(level, message, zap.Int("places", n), places)
		}
	}
	first20 := func(all []error) zap.Field { return zap.Errors("damage", all[:min(len(all), 20)]) }
	report(zap.ErrorLevel, "spool is damaged and some records are lost: "+
		"the others are delivered, and then the damaged files are renamed to *"+damagedSuffix, len(f.damage), first20(f.damage))
	report(zap.WarnLevel, "the ends of some files of the spool can't be read: "+
		"after a crash they are writes that were never acknowledged, else records are lost", len(f.lastWrites), first20(f.lastWrites))
	report(zap.WarnLevel, "the spool's sequence numbers have gaps: "+
		"after a crash the missing records may have been delivered, else files were removed and their records are lost",
		len(f.missing), zap.Strings("missing", f.missing[:min(len(f.missing), 20)]))
}

// checkFiles opens the files if that has failed so far, and restores those that somebody has removed: as
// long as they are open, they can be read.
func (s *Spool) checkFiles() {
	if !s.loaded {
		s.noteWrite(s.load())
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
	var restored []string
	for _, j := range s.journals {
		for _, in := range j.all() {
			name := filepath.Base(in.path)
			if slices.Contains(names, name) {
				continue
			}
			if in == j.active {
				j.active = nil
			}
			if err := in.restore(); err != nil {
				s.noteWrite(err)
				return
			}
			restored = append(restored, name)
		}
	}
	if len(restored) > 0 {
		s.config.Log.Error("files of the spool in use were removed: they are written again",
			zap.Strings("files", restored))
	}
}
