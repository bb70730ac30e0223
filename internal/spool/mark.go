package spool

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
)

// The mark holds how far each journal is delivered. Its file is overwritten after each delivery and
// synced only at the end: if it is lost, the remaining segments are delivered again.
const (
	markName  = "mark"
	markBytes = 8*journals + 4
)

// readMark returns the numbers up to which the journals are delivered; zeros if they can't be read.
func readMark(d disk, dir string) (delivered [journals]uint64) {
	f, err := d.open(filepath.Join(dir, markName), os.O_RDONLY)
	if err != nil {
		return delivered
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, markBytes)
	_, _ = f.ReadAt(b, 0) // after an error the checksum doesn't match
	if sum := b[8*journals:]; binary.BigEndian.Uint32(sum) != crc32.Checksum(b[:8*journals], castagnoli) {
		return delivered
	}
	for i := range delivered {
		delivered[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return delivered
}

// writeMark writes the mark. After a failed write or sync it removes the file, and the next call
// creates another.
func (s *Spool) writeMark(sync bool) {
	b := make([]byte, 0, markBytes)
	for _, j := range s.journals {
		b = binary.BigEndian.AppendUint64(b, j.delivered)
	}
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	f, err := s.disk.open(s.path(markName), os.O_CREATE|os.O_RDWR)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	_, err = f.WriteAt(b, 0)
	if err == nil && sync {
		err = f.Sync()
	}
	if err != nil {
		_ = s.disk.remove(s.path(markName))
	}
}
