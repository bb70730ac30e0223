package ingest

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

const (
	// bodyTimeout is the time for the body after the headers.
	bodyTimeout = 5 * time.Second
	// drainBytes bounds how much of an unwanted body is read, for senders that read the answer only
	// after they have sent everything.
	drainBytes = 16 << 20
	// registeredBytes is how much of a body must arrive before the budget may interrupt it to make
	// room for others. Most bodies are shorter.
	registeredBytes = 2 << 10
)

// read receives the whole body. Its memory grows with the received bytes, never with the announced
// length, and every byte is charged to the budget as it arrives.
func (d *delivery) read() error {
	if d.r.ContentLength > d.MaxBodyBytes {
		return errBodyTooLarge
	}
	d.begun = true
	err := d.receiveBody()
	if err == nil {
		d.whole = true
		return nil // at the body's end net/http has cleared the read deadline
	}
	d.body.reset()
	d.conn.held.release() // the budget no longer interrupts the reading
	if errors.Is(err, errBusy) {
		// The sender may use the rest of its time to send the body, which is dropped, and read the
		// answer.
		_ = d.conn.SetReadDeadline(d.bodyDeadline)
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
		if !d.conn.held.take(n, err != nil) {
			return errBusy
		}
		d.body.advance(n)
		switch {
		case int64(d.body.len) > d.MaxBodyBytes:
			return errBodyTooLarge
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && (errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(d.bodyDeadline)):
			return errSlowBody // net/http has another error for a timeout in the trailers
		case err != nil:
			return errIncompleteBody
		case d.body.len >= registeredBytes:
			d.conn.held.receiving()
		}
	}
}

// drain reads and drops the rest of the body, within the deadline, and reports whether it reached
// the end. It reads nothing from a sender that waits for 100 Continue, which gets the answer instead.
func (d *delivery) drain() (whole bool) {
	if d.whole {
		return true
	}
	if strings.EqualFold(d.r.Header.Get("Expect"), "100-continue") && !d.begun {
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
