package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// Record is a message in the spool.
type Record struct {
	publish.Message
	Seq       uint64    // its number: records are delivered in ascending order
	Attempted time.Time // when JetStream was tried before it was appended; zero if it wasn't
	Reason    string    // why it is set aside; "" if it isn't

	size       int64    // in the segment
	at         position // where it was read
	recoveries int      // how many had begun when it was read
	isFirst    bool     // it is the first one of a write
}

const (
	recordHeader = 28
	// largest bounds the length of a payload. It allows for the largest body in its canonical form, which
	// is up to 4.4 times as long, and the envelope.
	largest = 512 << 20
)

var (
	recordMagic = []byte{0xff, 'S', 'P', 'L'}
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)

	// errDamaged means that a file's contents aren't those that were written.
	errDamaged = errors.New("damaged")
	errHeader  = fmt.Errorf("%w: the checksum of a record's header doesn't match", errDamaged)
)

// appendHeader appends the header of a record with that payload, for a segment with that salt
// (docs/spool-format.md).
func (r *Record) appendHeader(b, payload []byte, salt uint32) []byte {
	begin := len(b)
	b = append(b, recordMagic...)
	b = append(b, byte(r.Kind), 0, 0, 0)
	if r.isFirst {
		b[begin+5] = 1
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.BigEndian.AppendUint64(b, r.Seq)
	b = binary.BigEndian.AppendUint32(b, crc32.Update(salt, castagnoli, payload))
	return binary.BigEndian.AppendUint32(b, crc32.Update(salt, castagnoli, b[begin:]))
}

// parseHeader parses a record's header. It returns the payload's checksum.
func (r *Record) parseHeader(b []byte, salt uint32) (sum uint32, err error) {
	if len(b) < recordHeader || [4]byte(b) != [4]byte(recordMagic) {
		return 0, fmt.Errorf("%w: no record begins here", errDamaged)
	}
	n := binary.BigEndian.Uint32(b[8:])
	if binary.BigEndian.Uint32(b[24:]) != crc32.Update(salt, castagnoli, b[:24]) {
		return 0, errHeader
	}
	if r.Kind = publish.Kind(b[4]); r.Kind >= publish.Kinds {
		return 0, fmt.Errorf("%w: a record is of the unknown kind %d", errDamaged, r.Kind)
	}
	r.isFirst, r.Seq, r.size = b[5] == 1, binary.BigEndian.Uint64(b[12:]), recordHeader+int64(n)
	return binary.BigEndian.Uint32(b[20:]), nil
}

// payload returns the encoded payload.
func (r *Record) payload() []byte {
	b := make([]byte, 0, 512+len(r.Data))
	b = binary.BigEndian.AppendUint64(b, nanos(r.Arrived))
	b = binary.BigEndian.AppendUint64(b, nanos(r.Attempted))
	b = appendText(b, r.Subject)
	b = appendText(b, r.ID)
	b = appendText(b, r.Reason)
	b = appendText(b, r.Data)
	for _, h := range r.Headers {
		b = appendText(b, h.Name)
		b = appendText(b, h.Value)
	}
	return b
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

var errPayload = fmt.Errorf("%w: a record's payload can't be decoded", errDamaged)

// decode decodes the record's payload. The record's data is a part of it, not a copy.
func (r *Record) decode(b []byte) error {
	if len(b) < 16 {
		return errPayload
	}
	r.Arrived, r.Attempted = fromNanos(binary.BigEndian.Uint64(b)), fromNanos(binary.BigEndian.Uint64(b[8:]))
	texts := make([][]byte, 0, 16)
	for b = b[16:]; len(b) > 0; {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return errPayload
		}
		end := size + int(n)
		texts = append(texts, b[size:end:end])
		b = b[end:]
	}
	if len(texts) < 4 || len(texts)%2 != 0 {
		return errPayload
	}
	r.Subject, r.ID, r.Reason, r.Data = string(texts[0]), string(texts[1]), string(texts[2]), texts[3]
	for i := 4; i < len(texts); i += 2 {
		r.Headers = append(r.Headers, publish.Header{Name: string(texts[i]), Value: string(texts[i+1])})
	}
	return nil
}

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
