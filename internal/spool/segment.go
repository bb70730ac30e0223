package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

const (
	format        = 1
	segmentHeader = 64
	newSuffix     = ".new"     // a copy of a segment, until it is complete
	damagedSuffix = ".damaged" // a damaged segment whose readable records are delivered
)

var segmentMagic = []byte{0xff, 's', 'p', 'o', 'o', 'l', '\r', '\n'}

// ErrNewer means that a newer version of the bridge has written the spool.
var ErrNewer = errors.New("written by a newer version of the bridge")

// segment is one file of a journal.
type segment struct {
	disk    disk
	path    string
	number  uint64       // usually that of its first record; higher than all before
	salt    uint32       // start value of its checksums, so that no message can contain a valid record
	before  uint64       // number of the segment before it
	known   int64        // durable bytes of that segment; 0: unknown
	last    uint64       // the highest number of its records; used by the committer, or the recovery
	end     atomic.Int64 // size of the part that is read
	durable atomic.Int64 // bytes that are certainly durable
	doubt   atomic.Bool  // a write or a sync failed: check must rewrite it
	// unsynced means that an earlier process wrote it and its last records may not be durable.
	unsynced atomic.Bool
	damaged  atomic.Bool // some of it can't be read

	mu   sync.RWMutex // held while the file is read, and while it is replaced
	file file         // nil: all of it was delivered, and the file removed
}

// nameOf returns a segment's file name. With it the segment can be read even if its header can't.
func nameOf(journal string, number uint64, salt uint32) string {
	return fmt.Sprintf("%s-%016x-%08x.log", journal, number, salt)
}

// parseName parses the name of one of the journal's segments.
func parseName(name, journal string) (number uint64, salt uint32, ok bool) {
	_, err := fmt.Sscanf(name, journal+"-%16x-%8x.log", &number, &salt)
	return number, salt, err == nil && nameOf(journal, number, salt) == name
}

// header returns the segment's header.
func (s *segment) header() []byte {
	b := append(make([]byte, 0, segmentHeader), segmentMagic...)
	b = binary.BigEndian.AppendUint32(b, format)
	b = binary.BigEndian.AppendUint32(b, s.salt)
	b = binary.BigEndian.AppendUint64(b, s.number)
	b = binary.BigEndian.AppendUint64(b, s.before)
	b = binary.BigEndian.AppendUint64(b, uint64(s.known))
	b = append(b, make([]byte, 20)...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
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
	s := &segment{disk: d, path: path, number: number, salt: salt, file: f}
	s.end.Store(size)
	b := make([]byte, segmentHeader)
	_, _ = f.ReadAt(b, 0) // after an error the checksum doesn't match
	if size < segmentHeader || !bytes.HasPrefix(b, segmentMagic) || binary.BigEndian.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli) {
		s.damaged.Store(true) // also if it was only just begun
		return s, nil
	}
	if version := binary.BigEndian.Uint32(b[8:]); version != format {
		_ = f.Close()
		return nil, fmt.Errorf("%w: %s has format %d, this version knows %d", ErrNewer, path, version, format)
	}
	s.before, s.known = binary.BigEndian.Uint64(b[24:]), int64(binary.BigEndian.Uint64(b[32:]))
	return s, nil
}

// append writes b to the end and syncs.
//
// A full disk doesn't harm the existing contents. After any other failure the file must not be
// written or synced again: the kernel may have dropped what it could not write, and reports that
// only once (https://lwn.net/Articles/752063/).
func (s *segment) append(b []byte) error {
	end := s.end.Load()
	if _, err := s.file.WriteAt(b, end); err != nil {
		s.doubt.Store(!isNoSpace(err) || s.file.Truncate(end) != nil)
		return err
	}
	if err := s.file.Sync(); err != nil {
		s.doubt.Store(true)
		return err
	}
	if end == 0 { // its name must be durable too
		if err := s.disk.syncDir(filepath.Dir(s.path)); err != nil {
			return err
		}
	}
	end += int64(len(b))
	s.durable.Store(end)
	s.end.Store(end)
	return nil
}

// makeDurable makes what an earlier process has written durable. A sync alone isn't enough: if one
// has failed in that process, the kernel may have dropped the data and still show it to this one.
// So the same bytes are written again, in place: that needs no room, and a crash meanwhile does no
// harm.
func (s *segment) makeDurable() {
	from := s.durable.Load()
	if s.end.Load() <= from || s.doubt.Load() {
		return
	}
	to := s.whole()
	s.mu.RLock()
	defer s.mu.RUnlock()
	var err error
	if !s.damaged.Load() { // else what we read could be worse than what is on disk
		_, err = io.Copy(io.NewOffsetWriter(s.file, from), io.NewSectionReader(s.file, from, to-from))
	}
	if err == nil {
		err = s.file.Sync()
	}
	s.unsynced.Store(err != nil)
	if err != nil {
		s.doubt.Store(true)
	} else if !s.damaged.Load() {
		s.durable.Store(max(from, to))
	}
}

// errGone is the error of reading a segment that was removed.
var errGone = errors.New("removed")

// ReadAt fills b. A page that the disk can't read is zero, which counts as damage.
func (s *segment) ReadAt(b []byte, offset int64) (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.file == nil {
		return 0, errGone
	}
	if _, err := s.file.ReadAt(b, offset); err == nil || errors.Is(err, os.ErrClosed) {
		return len(b), err
	}
	for at := 0; at < len(b); {
		part := b[at:min(len(b), at+page-int((offset+int64(at))%page))]
		if n, err := s.file.ReadAt(part, offset+int64(at)); err != nil {
			clear(part[n:])
		}
		at += len(part)
	}
	return len(b), nil
}

const page = 4096

// whole returns the offset of the first damage that isn't known yet; the end if there is none.
func (s *segment) whole() int64 {
	c := cursor{segments: func() []*segment { return nil }, position: position{segment: s, offset: segmentHeader}}
	for {
		if _, err := c.next(); err != nil {
			return c.offset
		}
	}
}

// rewrite replaces the file by a copy.
func (s *segment) rewrite() error {
	fresh, err := s.disk.open(s.path+newSuffix, os.O_CREATE|os.O_RDWR|os.O_TRUNC)
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error {
			_, err := io.Copy(io.NewOffsetWriter(fresh, 0), io.NewSectionReader(s, 0, s.end.Load()))
			return err
		},
		fresh.Sync, // before the rename
		func() error { return s.disk.rename(s.path+newSuffix, s.path) },
		func() error { return s.disk.syncDir(filepath.Dir(s.path)) },
	} {
		if err := step(); err != nil {
			_ = fresh.Close()
			_ = s.disk.remove(s.path + newSuffix)
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.file.Close()
	s.file = fresh
	s.durable.Store(s.end.Load())
	s.doubt.Store(false)
	s.unsynced.Store(false)
	return nil
}

// remove removes the segment's file, or renames it if it has damage.
func (s *segment) remove() error {
	s.mu.Lock()
	_ = s.file.Close() // first: Windows can't remove an open file
	s.file = nil
	s.mu.Unlock()
	if s.damaged.Load() && s.end.Load() > segmentHeader {
		return s.disk.rename(s.path, s.path+damagedSuffix)
	}
	return s.disk.remove(s.path)
}
