package ingest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

const (
	// bodyTimeout is the time for the body, from the headers on.
	bodyTimeout = 5 * time.Second
	// drainBytes bounds how much of an unwanted body is read, for senders that read the answer only
	// after they have sent everything.
	drainBytes = 16 << 20
	// registeredBytes is how much of a body must have arrived before it may have to make room for
	// others. Most bodies are shorter.
	registeredBytes = 2 << 10

	// blockBytes is the size of a block. Most bodies are shorter.
	blockBytes = 8 << 10
	// spareBytes is the size of the largest block that is reused, so that senders can't make the bridge
	// keep more. Sizes are multiples of spareStep, so that most blocks fit the next body.
	spareBytes = 2 << 10
	spareStep  = 1 << 10
)

// read receives the whole body. Its memory grows with the received bytes, never with the announced
// length, and every byte is charged to the budget as it arrives.
func (d *delivery) read() error {
	if d.r.ContentLength > d.MaxBodyBytes {
		return errBodyTooLarge
	}
	d.isReading = true
	err := d.receiveBody()
	if err == nil {
		return nil // at the body's end net/http has cleared the read deadline
	}
	d.body.reset()
	d.conn.held.release() // the budget no longer interrupts the reading
	if errors.Is(err, errBusy) {
		// The sender has the rest of its time to send the body, which is dropped, and to read the
		// answer.
		_ = d.conn.SetReadDeadline(d.began.Add(bodyTimeout))
	}
	return err
}

// receiveBody reads to the end of the body.
func (d *delivery) receiveBody() error {
	for {
		room := d.body.room(d.r.ContentLength)
		n, err := d.r.Body.Read(room)
		if n == len(room) {
			runtime.Gosched() // the next read won't wait either: see conn.end
		}
		if !d.conn.held.take(n, err == nil && d.body.len+n >= registeredBytes) {
			return errBusy
		}
		d.body.advance(n)
		switch {
		case int64(d.body.len) > d.MaxBodyBytes:
			return errBodyTooLarge
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && (errors.Is(err, os.ErrDeadlineExceeded) || time.Since(d.began) >= bodyTimeout):
			return errSlowBody // net/http has another error for a timeout in the trailers
		case err != nil:
			return errIncompleteBody
		}
	}
}

// drain reads and drops the rest of the body, within the deadline, and reports whether it reached
// the end. A sender that waits for 100 Continue gets the answer instead, and nothing is read from it.
func (d *delivery) drain() (whole bool) {
	if !d.answerBy.IsZero() {
		return true
	}
	if strings.EqualFold(d.r.Header.Get("Expect"), "100-continue") && !d.isReading {
		return false
	}
	block := make([]byte, blockBytes)
	for read := 0; read < drainBytes; {
		n, err := d.r.Body.Read(block)
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		read += n
		runtime.Gosched()
	}
	return false
}

// body collects an arriving body in blocks, and takes little more memory than the bytes that have
// arrived. A slice that doubles when it is full would take up to three times as much, uncounted.
type body struct {
	full  [][]byte // the blocks before the last one
	block []byte   // the last one; at first that of an earlier body
	len   int      // bytes that have arrived
}

// room returns a buffer for the next bytes; it is never empty. The first one is an earlier body's, or a
// little larger than the announced length.
func (b *body) room(announced int64) []byte {
	switch {
	case b.len == 0:
		size := blockBytes
		if announced >= 0 {
			// At least one byte more than announced: the read that finds the end needs it.
			size = int(min((announced/spareStep+1)*spareStep, blockBytes))
		}
		if cap(b.block) < size {
			b.block = make([]byte, 0, size)
		}
	case len(b.block) == cap(b.block):
		b.full = append(b.full, b.block)
		b.block = make([]byte, 0, blockBytes)
	}
	return b.block[len(b.block):cap(b.block)]
}

// advance notes that n bytes were read into the room.
func (b *body) advance(n int) {
	b.block = b.block[:len(b.block)+n]
	b.len += n
}

// joined returns the body in one piece, which is valid until reset. It copies several blocks into one and
// drops them.
func (b *body) joined() []byte {
	if len(b.full) == 0 {
		return b.block
	}
	whole := bytes.Join(append(b.full, b.block), nil)
	b.full, b.block = nil, nil
	return whole
}

// reset empties the body. It keeps the block if it is small.
func (b *body) reset() {
	if cap(b.block) > spareBytes {
		b.block = nil
	}
	*b = body{block: b.block[:0]}
}
