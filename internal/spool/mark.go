package spool

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// mark holds how far the journals are delivered, and how far they are durable. Its file is
// overwritten after each delivery and synced only at the end: if it is lost, the remaining segments
// are delivered again.
type mark struct {
	delivered [journals]uint64
	ends      [journals]end
}

// end is a place up to which a journal was certainly durable.
type end struct{ segment, bytes uint64 }

const (
	markName  = "mark"
	markBytes = 512 // a sector: a disk usually writes it whole
)

var markMagic = []byte{0xff, 's', 'p', 'm', 'a', 'r', 'k', '\n'}

func (m *mark) encode() []byte {
	b := append(make([]byte, 0, markBytes), markMagic...)
	b = binary.BigEndian.AppendUint32(b, format)
	b = binary.BigEndian.AppendUint32(b, publish.Kinds)
	for n := range journals { // set aside first, because there may be more kinds one day
		i := (n + setAside) % journals
		b = binary.BigEndian.AppendUint64(b, m.delivered[i])
		b = binary.BigEndian.AppendUint64(b, m.ends[i].segment)
		b = binary.BigEndian.AppendUint64(b, m.ends[i].bytes)
	}
	b = b[:markBytes]
	binary.BigEndian.PutUint32(b[markBytes-4:], crc32.Checksum(b[:markBytes-4], castagnoli))
	return b
}

// readMark returns the mark; an empty one if it can't be read.
func readMark(d disk, path string) (m mark, err error) {
	f, err := d.open(path, os.O_RDONLY)
	if err != nil {
		return m, nil
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, markBytes)
	_, _ = f.ReadAt(b, 0) // after an error the checksum doesn't match
	if !bytes.HasPrefix(b, markMagic) ||
		binary.BigEndian.Uint32(b[markBytes-4:]) != crc32.Checksum(b[:markBytes-4], castagnoli) {
		return m, nil
	}
	version, kinds := binary.BigEndian.Uint32(b[8:]), int(binary.BigEndian.Uint32(b[12:]))
	if version != format || kinds > publish.Kinds {
		return m, fmt.Errorf("%w: %s has format %d and %d kinds, this version knows %d and %d", ErrNewer, path, version, kinds, format, publish.Kinds)
	}
	for n := range kinds + 1 {
		i, b := (n+setAside)%journals, b[16+24*n:]
		m.delivered[i] = binary.BigEndian.Uint64(b)
		m.ends[i] = end{binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])}
	}
	return m, nil
}

// writeMark writes the mark. After a failed write or sync it removes the file, and the next call
// creates another.
func (s *Spool) writeMark(sync bool) {
	var m mark
	for i, j := range s.journals {
		m.delivered[i] = j.delivered
		if last := lastOf(j.all()); last != nil {
			m.ends[i] = end{last.number, uint64(last.durable.Load())}
		}
	}
	f, err := s.disk.open(s.path(markName), os.O_CREATE|os.O_RDWR)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	_, err = f.WriteAt(m.encode(), 0)
	if err == nil && sync {
		err = f.Sync()
	}
	if err != nil {
		_ = s.disk.remove(s.path(markName))
	}
}
