package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
)

// The mark says how far each journal is delivered. Its file is overwritten after each delivery, and synced
// only when the spool is closed: if it is lost, the remaining segments are delivered again.
const (
	markName  = "mark"
	markBytes = 8*journals + 4
)

// readMark returns the numbers up to which the journals are delivered. Without a mark they are 0. If the
// mark can't be read, it returns zeros and an error.
func readMark(d disk, dir string) (delivered [journals]uint64, err error) {
	f, err := d.open(filepath.Join(dir, markName), os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return delivered, nil
	}
	if err != nil {
		return delivered, err
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, markBytes)
	if _, err := f.ReadAt(b, 0); err != nil {
		return delivered, err
	}
	if sum := b[8*journals:]; binary.BigEndian.Uint32(sum) != crc32.Checksum(b[:8*journals], castagnoli) {
		return delivered, errDamaged
	}
	_, err = binary.Decode(b, binary.BigEndian, &delivered)
	return delivered, err
}

// writeMark writes the mark. After a failed write or sync it removes the file, and the next call
// creates another.
func (s *Spool) writeMark(sync bool) {
	b, _ := binary.Append(nil, binary.BigEndian, s.mark) // numbers can always be encoded
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
