package ingest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"
)

const (
	// bodyTimeout is how long after its headers the body must be whole.
	bodyTimeout = 5 * time.Second
	// drainBytes is how much of a body that isn't wanted is read all the same, so that a sender
	// that only reads the answer once it has sent everything gets to read it.
	drainBytes = 16 << 20
	// unaskedBytes of a body have come before it may have to make room: most bodies are whole by then.
	unaskedBytes = 2 << 10
)

// read receives the whole body. What it holds grows with what was received, never with what was
// announced, and every byte is charged to the budget as it comes.
func (d *delivery) read() error {
	if d.r.ContentLength > d.MaxBodyBytes {
		return errBodyTooLarge
	}
	d.begun = true
	err := d.receiveBody()
	if err == nil {
		d.whole = true
		return nil // net/http has cleared the deadline at the body's end: from here on the time is ours
	}
	d.coming = body{}
	d.held.release() // from now on nobody interrupts
	if errors.Is(err, errBusy) {
		// Its sender has the rest of its time to send on and read the answer, but nothing of that is kept.
		_ = d.setReadDeadline(d.bodyDeadline) // failing that, its connection is closed
	}
	return err
}

// receiveBody receives the body up to its end.
func (d *delivery) receiveBody() error {
	for {
		room := d.coming.room(d.r.ContentLength)
		n, err := d.r.Body.Read(room)
		if n == len(room) {
			runtime.Gosched() // there is more, and reading it won't wait: see conn.end
		}
		if !d.held.take(n) {
			return errBusy
		}
		d.coming.came(n)
		switch {
		case err != nil && !d.held.received():
			return errBusy // it had to make room
		case int64(d.coming.len) > d.MaxBodyBytes:
			return errBodyTooLarge
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && (errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(d.bodyDeadline)):
			return errSlowBody // net/http says something else where it was in the trailers
		case err != nil:
			return errIncompleteBody
		case d.coming.len >= unaskedBytes:
			d.held.receiving(func() { _ = d.setReadDeadline(time.Unix(1, 0)) }) // long ago
		}
	}
}

// setReadDeadline bounds the reading of the body. It is set for every request: net/http itself waits
// without end for a body that nobody reads, before it sends the answer.
func (d *delivery) setReadDeadline(t time.Time) error {
	if err := http.NewResponseController(d.w).SetReadDeadline(t); err != nil {
		return fmt.Errorf("%w: setting deadline: %w", errInternal, err)
	}
	return nil
}

// drain reads and drops the rest of the body, within the deadline, and reports whether that was all. A
// sender that waits to be told to continue is told the answer instead.
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
