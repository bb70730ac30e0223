package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
)

const (
	format        = "v2"
	damagedSuffix = ".damaged" // of a damaged segment whose readable records are delivered
)

// segment is one file of a journal.
type segment struct {
	disk   disk
	path   string
	number uint64       // higher than those of all earlier records and segments, lower than those of its records
	salt   uint32       // start value of its checksums, so that no message can contain a valid record
	last   uint64       // the highest number of its records; used by the committer, or the recovery
	end    atomic.Int64 // where reading ends
	// mayBeUnsynced means that an earlier process wrote it, and its last write may not be durable.
	mayBeUnsynced bool
	hasFailed     bool                  // a write or a sync failed: nothing may be written to it any more
	damaged       atomic.Bool           // a part of it can't be read
	skips         sync.Map              // offset to end of each part in which a recovery found no whole record
	readErr       atomic.Pointer[error] // why the disk failed to read a part of it; nil: it didn't

	mu   sync.RWMutex // held while the file is read, and while it is replaced
	file file         // nil: the segment was removed
}

// segmentName matches the names of segments of any format. Early builds called theirs .log.
var segmentName = regexp.MustCompile(`^[a-z-]+-[0-9a-f]{16}-[0-9a-f]{8}\.(log|v[0-9]+)$`)

func nameOf(journal string, number uint64, salt uint32) string {
	return fmt.Sprintf("%s-%016x-%08x.%s", journal, number, salt, format)
}

// parseName parses the name of a segment, and reports whether it is one of this format and of a journal.
func parseName(name string) (journal int, number uint64, salt uint32, ok bool) {
	for i, journal := range journalNames {
		_, _ = fmt.Sscanf(name, journal+"-%x-%x", &number, &salt)
		if name == nameOf(journal, number, salt) {
			return i, number, salt, true
		}
	}
	return 0, 0, 0, false
}

// openSegment opens an existing segment.
func openSegment(d disk, path string, flag int, number uint64, salt uint32) (*segment, error) {
	f, err := d.open(path, flag)
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	s := &segment{disk: d, path: path, number: number, salt: salt, file: f, mayBeUnsynced: flag == os.O_RDWR}
	s.end.Store(size)
	return s, nil
}

// append writes b to the end and makes it durable.
//
// A full disk doesn't harm the existing contents. After any other failure the file must not be
// written or synced again: the kernel may have dropped what it could not write, and reports that
// only once (https://lwn.net/Articles/752063/).
func (s *segment) append(b []byte) error {
	end := s.end.Load()
	if _, err := s.file.WriteAt(b, end); err != nil {
		s.hasFailed = !isNoSpace(err) || s.file.Truncate(end) != nil
		return err
	}
	if err := s.file.Sync(); err != nil {
		s.hasFailed = true
		return err
	}
	if end == 0 { // its name must be durable too
		if err := s.disk.syncDir(filepath.Dir(s.path)); err != nil {
			return err
		}
	}
	s.end.Store(end + int64(len(b)))
	return nil
}

// seal writes a probe behind the last record. It shows a later recovery that the records before it are
// durable: if they can't be read, that is damage.
func (s *segment) seal() {
	if n, err := s.file.WriteAt(probe.appendHeader(nil, nil, s.salt), s.end.Load()); err == nil {
		s.end.Add(int64(n))
	}
}

// makeDurable makes the last write of an earlier process durable, which begins at from. A sync alone isn't
// enough: if one failed in that process, the kernel may have dropped the data and still show it to this
// one. So the same bytes are written again in place: that needs no room, and a crash meanwhile does no
// harm.
func (s *segment) makeDurable(from int64) (err error) {
	switch {
	case from == s.end.Load():
		return nil
	case s.hasFailed, s.damaged.Load(): // the bytes on disk could be better than those that we read
		return errDamaged
	}
	err = s.rewrite(s.file, s.file, from) // its name may not be durable either
	s.hasFailed = err != nil
	s.mayBeUnsynced = s.hasFailed
	return err
}

// rewrite copies the segment's bytes from an offset on to a file with its name, and makes them durable.
func (s *segment) rewrite(to file, source io.ReaderAt, from int64) error {
	if _, err := io.Copy(io.NewOffsetWriter(to, from), io.NewSectionReader(source, from, s.end.Load()-from)); err != nil {
		return err
	}
	if err := to.Sync(); err != nil {
		return err
	}
	return s.disk.syncDir(filepath.Dir(s.path))
}

// errGone means that the segment was removed.
var errGone = errors.New("removed")

// read fills b. A page that the disk fails to read becomes zeros, which count as damage, and the error is
// the disk's.
func (s *segment) read(b []byte, offset int64) (err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.file == nil {
		return errGone
	}
	if _, err := s.file.ReadAt(b, offset); err == nil || errors.Is(err, os.ErrClosed) {
		return err
	}
	for at := 0; at < len(b); {
		part := b[at:min(len(b), at+page-int((offset+int64(at))%page))]
		if n, failure := s.file.ReadAt(part, offset+int64(at)); failure != nil {
			clear(part[n:])
			if !errors.Is(failure, io.EOF) { // else the file is too short
				err = failure
			}
		}
		at += len(part)
	}
	return err
}

// ReadAt is read without errors, for restore: the copy has zeros where the file can't be read.
func (s *segment) ReadAt(b []byte, offset int64) (int, error) {
	_ = s.read(b, offset)
	return len(b), nil
}

const page = 4096

// restore writes the file again after somebody else has removed it.
func (s *segment) restore() error {
	fresh, err := s.disk.open(s.path, os.O_CREATE|os.O_EXCL|os.O_RDWR)
	if err != nil {
		return err
	}
	if err := s.rewrite(fresh, s, 0); err != nil {
		_ = fresh.Close()
		_ = s.disk.remove(s.path)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.file.Close()
	s.file = fresh
	return nil
}

// remove removes the segment's file, or renames it if it has damage.
func (s *segment) remove() error {
	s.mu.Lock()
	_ = s.file.Close() // first: Windows can't remove an open file
	s.file = nil
	s.mu.Unlock()
	if s.damaged.Load() {
		// The new name is durable before the mark is written. Otherwise the file could be back after a
		// crash and be readable, and the mark would say that it is delivered.
		return cmp.Or(s.disk.rename(s.path, s.path+damagedSuffix), s.disk.syncDir(filepath.Dir(s.path)))
	}
	return s.disk.remove(s.path)
}
