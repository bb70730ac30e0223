package spool

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// journal is a queue: a list of segments of which the last one is written. There is one for each
// kind, and one for the records that are set aside.
type journal struct {
	name string

	segments atomic.Pointer[[]*segment] // oldest first; another slice after each change

	// Used by the committer alone.
	active   *segment // the last one, while records may be appended to it
	keepMark bool     // the mark must stay: a segment that the disk failed to read could not be renamed

	// Guarded by the spool's mu.
	pending []*waiting // records to be written, in order
	settled uint64     // records up to this number are settled
	head    position   // all records before it are settled
	oldest  time.Time  // arrival of the first record that waits; zero: it was not read yet, or there is none

	queued  atomic.Int64  // records that wait
	changed chan struct{} // holds at most one

	reading sync.Mutex // held while [Spool.Next] reads
	read    cursor
}

func (j *journal) all() []*segment { return *j.segments.Load() }

// seal ends the active segment.
func (j *journal) seal() {
	if j.active != nil {
		j.active.seal()
		j.active = nil
	}
}

// size returns the size of all segments in bytes.
func (j *journal) size() (n int64) {
	for _, s := range j.all() {
		n += s.end.Load()
	}
	return n
}

// position is a place in a journal.
type position struct {
	segment *segment // nil: before the first one
	offset  int64
}

// chunk is the size of one read.
const chunk = 128 << 10

// cursor reads a journal's records in order.
type cursor struct {
	position
	seq     uint64 // number of the last record; records up to it are skipped
	durable int64  // the segment is durable up to this offset, where the last write that was read begins
	// damage is called for each part of the segment that has no whole record. If it is nil, a part that a
	// recovery has found is skipped, and any other is an error.
	damage func(from, to int64, err error)
	// retry is called when the disk fails to read, and reports whether to try again. If it is nil, or
	// returns false, what can't be read is damage.
	retry func(err error) bool

	buf []byte // a part of the segment
	at  int64  // its offset
}

// seek moves to a position.
func (c *cursor) seek(p position) { c.position, c.durable, c.buf = p, 0, c.buf[:0] }

// next returns the next record of the cursor's segment and the later ones, or io.EOF. The record's data
// is valid until the next call.
func (c *cursor) next(later []*segment) (Record, error) {
	for {
		if c.segment == nil || c.offset >= c.segment.end.Load() {
			i := slices.IndexFunc(later, func(s *segment) bool { return c.segment == nil || s.number > c.segment.number })
			if i < 0 {
				return Record{}, io.EOF
			}
			c.seek(position{segment: later[i]})
			continue
		}
		r, err := c.parse()
		switch {
		case errors.Is(err, errGone): // all its records are settled
			c.offset = c.segment.end.Load()
			continue
		case errors.Is(err, errDamaged) && c.damage != nil:
			from := c.offset
			c.resync()
			c.damage(from, c.offset, err)
			continue
		case err != nil:
			if to, isKnown := c.segment.skips.Load(c.offset); isKnown && errors.Is(err, errDamaged) {
				c.offset = to.(int64)
				continue
			}
			return Record{}, fmt.Errorf("%s at %d: %w", c.segment.path, c.offset, err)
		}
		if r.isFirst { // a write begins only after the one before was synced
			c.durable = c.offset
		}
		c.offset += r.size
		if r.Seq == probe.Seq {
			c.durable = c.offset
		}
		if r.Seq <= c.seq { // a probe, or delivered
			continue
		}
		c.seq = r.Seq
		return r, nil
	}
}

// parse reads the record at the offset.
func (c *cursor) parse() (Record, error) {
	r := Record{at: c.position}
	b, err := c.fill(recordHeader)
	if err != nil {
		return r, err
	}
	sum, err := r.parseHeader(b, c.segment.salt)
	if err != nil {
		return r, err
	}
	if r.size > c.segment.end.Load()-c.offset {
		return r, fmt.Errorf("%w: a record is cut short", errDamaged)
	}
	if b, err = c.fill(int(r.size)); err != nil {
		return r, err
	}
	if sum != crc32.Update(c.segment.salt, castagnoli, b[recordHeader:]) {
		return r, fmt.Errorf("%w: a record's checksum doesn't match", errDamaged)
	}
	if r.Seq <= c.seq { // next skips it
		return r, nil
	}
	return r, r.decode(b[recordHeader:])
}

// fill returns n bytes at the offset; fewer at the segment's end.
func (c *cursor) fill(n int) ([]byte, error) {
	left := c.segment.end.Load() - c.offset
	n = int(min(int64(n), left))
	from := c.offset - c.at
	if from < 0 || from+int64(n) > int64(len(c.buf)) {
		size := int(min(max(int64(n), chunk), left))
		c.buf, c.at, from = slices.Grow(c.buf[:0], size)[:size], c.offset, 0
		err := c.segment.read(c.buf, c.offset)
		for isReadFailure(err) && c.retry != nil && c.retry(err) {
			err = c.segment.read(c.buf, c.offset)
		}
		switch {
		case isReadFailure(err):
			c.segment.readErr.Store(&err)
		case err != nil:
			c.buf = c.buf[:0]
			return nil, err
		}
	}
	return c.buf[from : from+int64(n)], nil
}

func isReadFailure(err error) bool {
	return err != nil && !errors.Is(err, errGone) && !errors.Is(err, os.ErrClosed)
}

// resync moves to the next whole record, or to the segment's end. It reads each byte once, except those
// behind a header with a correct checksum, which a sender can't forge without the segment's salt.
func (c *cursor) resync() {
	for c.offset++; c.offset < c.segment.end.Load(); {
		if _, err := c.fill(recordHeader); err != nil {
			return
		}
		b := c.buf[c.offset-c.at:]
		i := bytes.Index(b, recordMagic)
		if i < 0 {
			c.offset += max(1, int64(len(b)-len(recordMagic)+1))
			continue
		}
		c.offset += int64(i)
		if _, err := c.parse(); err == nil {
			return
		}
		c.offset++
	}
}
