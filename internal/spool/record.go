package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// Record is a message in the spool.
type Record struct {
	publish.Message
	Seq       uint64    // its number: records are delivered in ascending order
	Attempted time.Time // when JetStream was tried before it was appended; zero if it wasn't
	Reason    string    // why it is set aside; "" if it isn't

	size int64    // in the segment
	at   position // where it was read
}

const (
	recordHeader = 28
	// largest bounds the length of a payload: the largest body, which the canonical form makes up
	// to 4.4 times as long, with its envelope.
	largest = 512 << 20
)

var (
	recordMagic = []byte{0xff, 'S', 'P', 'L'}
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)

	// errDamaged means that the file doesn't have the bytes that were written.
	errDamaged = errors.New("damaged")
)

// append appends the record in the form of a segment with that salt (docs/spool-format.md).
func (r *Record) append(b []byte, salt uint32) []byte {
	begin := len(b)
	b = r.appendPayload(append(b, make([]byte, recordHeader)...))
	r.putHeader(b[begin:], salt)
	return b
}

// putHeader writes the header of a payload in front of it.
func (r *Record) putHeader(b []byte, salt uint32) {
	payload := b[recordHeader:]
	copy(b, recordMagic)
	b[4] = byte(r.Kind)
	binary.BigEndian.PutUint32(b[8:], uint32(len(payload)))
	binary.BigEndian.PutUint64(b[12:], r.Seq)
	binary.BigEndian.PutUint32(b[20:], crc32.Update(salt, castagnoli, payload))
	binary.BigEndian.PutUint32(b[24:], crc32.Update(salt, castagnoli, b[:24]))
}

// parseHeader parses a record's header. It returns the payload's checksum.
func (r *Record) parseHeader(b []byte, salt uint32) (sum uint32, err error) {
	if len(b) < recordHeader || [4]byte(b) != [4]byte(recordMagic) {
		return 0, fmt.Errorf("%w: no record begins here", errDamaged)
	}
	n := binary.BigEndian.Uint32(b[8:])
	if n > largest || binary.BigEndian.Uint32(b[24:]) != crc32.Update(salt, castagnoli, b[:24]) {
		return 0, fmt.Errorf("%w: the checksum of a record's header doesn't match", errDamaged)
	}
	if r.Kind = publish.Kind(b[4]); r.Kind >= publish.Kinds {
		return 0, fmt.Errorf("%w: a record is of the unknown kind %d", errDamaged, r.Kind)
	}
	r.Seq, r.size = binary.BigEndian.Uint64(b[12:]), recordHeader+int64(n)
	return binary.BigEndian.Uint32(b[20:]), nil
}

// appendPayload appends the encoded payload.
func (r *Record) appendPayload(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, nanos(r.Arrived))
	b = binary.BigEndian.AppendUint64(b, nanos(r.Attempted))
	b = appendText(b, r.Subject)
	b = appendText(b, r.ID)
	b = appendText(b, r.Reason)
	b = binary.AppendUvarint(b, uint64(len(r.Headers)))
	for _, h := range r.Headers {
		b = appendText(b, h.Name)
		b = appendText(b, h.Value)
	}
	return appendText(b, r.Data)
}

// encodedSize returns how many bytes append appends.
func (r *Record) encodedSize() int64 {
	n := recordHeader + 2*8 + textSize(len(r.Subject)) + textSize(len(r.ID)) + textSize(len(r.Reason)) + varintSize(len(r.Headers)) + textSize(len(r.Data))
	for _, h := range r.Headers {
		n += textSize(len(h.Name)) + textSize(len(h.Value))
	}
	return int64(n)
}

// decode decodes the record's payload. Its data is a part of the payload, not a copy.
func (r *Record) decode(payload []byte) error {
	p := parser{rest: payload}
	r.Arrived, r.Attempted = fromNanos(p.number()), fromNanos(p.number())
	r.Subject, r.ID, r.Reason = string(p.text()), string(p.text()), string(p.text())
	for n := p.length(); n > 0 && p.err == nil; n-- {
		r.Headers = append(r.Headers, publish.Header{Name: string(p.text()), Value: string(p.text())})
	}
	if r.Data = p.text(); p.err == nil && len(p.rest) > 0 {
		p.fail()
	}
	return p.err
}

// parser reads a payload. After the first error all values are zero.
type parser struct {
	rest []byte
	err  error
}

func (p *parser) fail() {
	p.err, p.rest = fmt.Errorf("%w: a record's payload can't be decoded", errDamaged), nil
}

func (p *parser) number() uint64 {
	if len(p.rest) < 8 {
		p.fail()
		return 0
	}
	n := binary.BigEndian.Uint64(p.rest)
	p.rest = p.rest[8:]
	return n
}

func (p *parser) length() int {
	n, size := binary.Uvarint(p.rest)
	if size <= 0 || n > uint64(len(p.rest)-size) {
		p.fail()
		return 0
	}
	p.rest = p.rest[size:]
	return int(n)
}

func (p *parser) text() []byte {
	n := p.length()
	text := p.rest[:n:n]
	p.rest = p.rest[n:]
	return text
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func textSize(n int) int { return varintSize(n) + n }

func varintSize(n int) int { return (bits.Len(uint(n|1)) + 6) / 7 }

func nanos(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}

func fromNanos(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}
