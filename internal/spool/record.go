package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// Record is a message that is kept.
type Record struct {
	durable.Message
	Seq       uint64    // its place: records are delivered in ascending order
	Arrived   time.Time // when it was handed to the spool first
	Attempted time.Time // when JetStream was tried before that; zero where it wasn't
	Reason    string    // why it is set aside; "" in a queue
}

// A record on disk, all numbers big-endian:
//
//	offset  bytes
//	0       6      magic
//	6       1      format version
//	7       1      what it is: the kind in a queue, 0x80 set besides where it is set aside; 0x7f: the file's state
//	8       4      length of what follows the header
//	12      4      CRC-32C of bytes 6 to 11 and of what follows the header
//	16             sequence, arrival and attempt (8 each; Unix time in nanoseconds, 0 for none), then
//	               subject, id, reason, number of headers, each name and value, data, each with its
//	               length before it as a varint
//
// The header is the same in all formats to come, so that an older version knows a newer one's file by it. A
// record can be found in the bytes of a file of which nothing else can be read any more (see
// salvage.go). No message can hold a whole record, to be found in its place: the magic begins with
// 0xff, which no JSON text in UTF-8 has.
const (
	format     = 1
	headerSize = 16
	asideBit   = 0x80
	stateByte  = 0x7f
	// largest bounds what is believed of a length: the largest body, 4.4 times as long in its
	// canonical form, with its envelope.
	largest = 512 << 20
)

var (
	magic      = []byte{0xff, 's', 'p', 'l', 0xfe, 0x00}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errNoRecord = errors.New("not a record")
	errChecksum = errors.New("checksum doesn't match")
)

// ErrNewer says that the file was written by a newer version of the bridge.
var ErrNewer = errors.New("written by a newer version of the bridge")

func sealed(what byte, payload func([]byte) []byte, size int) []byte {
	b := make([]byte, headerSize, size)
	copy(b, magic)
	b[6], b[7] = format, what
	b = payload(b)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-headerSize))
	binary.BigEndian.PutUint32(b[12:], checksum(b))
	return b
}

func checksum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[6:12], castagnoli), castagnoli, b[headerSize:])
}

// unseal checks what begins at b and returns what it is, its payload and its whole length.
func unseal(b []byte) (what byte, payload []byte, size int, err error) {
	if len(b) < headerSize || !bytes.HasPrefix(b, magic) {
		return 0, nil, 0, errNoRecord
	}
	n := binary.BigEndian.Uint32(b[8:])
	if n > largest || int(n) > len(b)-headerSize {
		return 0, nil, 0, fmt.Errorf("%w: cut short", errChecksum)
	}
	size = headerSize + int(n)
	b = b[:size]
	switch {
	case binary.BigEndian.Uint32(b[12:]) != checksum(b):
		return 0, nil, 0, errChecksum
	case b[6] != format:
		return 0, nil, 0, fmt.Errorf("%w: format %d, this one knows %d", ErrNewer, b[6], format)
	}
	return b[7], b[headerSize:], size, nil
}

// encode returns the record as it is kept in a queue, or among those set aside.
func (r *Record) encode(aside bool) []byte {
	what := byte(r.Kind)
	if aside {
		what |= asideBit
	}
	return sealed(what, func(b []byte) []byte {
		b = binary.BigEndian.AppendUint64(b, r.Seq)
		b = binary.BigEndian.AppendUint64(b, uint64(nanos(r.Arrived)))
		b = binary.BigEndian.AppendUint64(b, uint64(nanos(r.Attempted)))
		b = appendText(b, r.Subject)
		b = appendText(b, r.ID)
		b = appendText(b, r.Reason)
		b = binary.AppendUvarint(b, uint64(len(r.Headers)))
		for _, h := range r.Headers {
			b = appendText(b, h.Name)
			b = appendText(b, h.Value)
		}
		return appendText(b, r.Data)
	}, int(r.size()))
}

// size is how many bytes encode returns.
func (r *Record) size() int64 {
	n := headerSize + 3*8 + textSize(len(r.Subject)) + textSize(len(r.ID)) + textSize(len(r.Reason)) + varintSize(len(r.Headers)) + textSize(len(r.Data))
	for _, h := range r.Headers {
		n += textSize(len(h.Name)) + textSize(len(h.Value))
	}
	return int64(n)
}

func textSize(length int) int { return varintSize(length) + length }

func varintSize(n int) int { return (bits.Len64(uint64(n)|1) + 6) / 7 }

// decode reads a record and says whether it is set aside. The data stays where it is in b.
func decode(b []byte) (r Record, aside bool, err error) {
	what, payload, size, err := unseal(b)
	if err != nil {
		return Record{}, false, err
	}
	kind := durable.Kind(what &^ asideBit)
	if size != len(b) || kind >= durable.Kinds {
		return Record{}, false, errNoRecord
	}
	p := parser{rest: payload}
	r.Kind = kind
	r.Seq = p.number()
	r.Arrived, r.Attempted = fromNanos(p.number()), fromNanos(p.number())
	r.Subject, r.ID, r.Reason = string(p.text()), string(p.text()), string(p.text())
	for n := p.length(); n > 0 && p.err == nil; n-- {
		r.Headers = append(r.Headers, durable.Header{Name: string(p.text()), Value: string(p.text())})
	}
	r.Data = p.text()
	if p.err == nil && len(p.rest) > 0 {
		p.err = errNoRecord
	}
	return r, what&asideBit != 0, p.err
}

// state is what a file says of itself. Each transaction writes it anew. bbolt has no checksum but for its
// heads, so it is by the numbers that records are missed that a damaged page hides.
type state struct {
	next      uint64                // the next sequence number
	delivered [durable.Kinds]uint64 // up to which the kind's records are delivered or set aside: the kind's mark
	queued    [durable.Kinds]int64  // records
	aside     int64                 // records set aside
}

// encode returns the state as it is kept. It has a checksum, as a record has: no flipped bit may make a file a
// newer version's, which nobody can open.
func (s *state) encode() []byte {
	return sealed(stateByte, func(b []byte) []byte {
		b = binary.BigEndian.AppendUint64(b, s.next)
		for kind := range durable.Kinds {
			b = binary.BigEndian.AppendUint64(b, s.delivered[kind])
			b = binary.BigEndian.AppendUint64(b, uint64(s.queued[kind]))
		}
		return binary.BigEndian.AppendUint64(b, uint64(s.aside))
	}, headerSize+8*(2+2*durable.Kinds))
}

func decodeState(b []byte) (s state, err error) {
	what, payload, _, err := unseal(b)
	if err != nil {
		return s, err
	}
	p := parser{rest: payload}
	s.next = p.number()
	for kind := range durable.Kinds {
		s.delivered[kind], s.queued[kind] = p.number(), int64(p.number())
	}
	s.aside = int64(p.number())
	if p.err != nil || len(p.rest) > 0 || what != stateByte {
		return state{}, errNoRecord
	}
	return s, nil
}

// parser reads a payload; after the first error everything is empty.
type parser struct {
	rest []byte
	err  error
}

func (p *parser) number() uint64 {
	if len(p.rest) < 8 {
		p.err, p.rest = errNoRecord, nil
		return 0
	}
	n := binary.BigEndian.Uint64(p.rest)
	p.rest = p.rest[8:]
	return n
}

func (p *parser) length() int {
	n, size := binary.Uvarint(p.rest)
	if size <= 0 || n > uint64(len(p.rest)-size) {
		p.err, p.rest = errNoRecord, nil
		return 0
	}
	p.rest = p.rest[size:]
	return int(n)
}

func (p *parser) text() []byte {
	n := p.length()
	text := p.rest[:n]
	p.rest = p.rest[n:]
	return text
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}
