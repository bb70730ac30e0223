package ingest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	// bodyTimeout is how long after its headers the body must be whole.
	bodyTimeout = 5 * time.Second
	// drainBytes is how much of a body that isn't wanted is read all the same, so that a sender
	// that only reads the answer once it has sent everything gets to read it.
	drainBytes = 16 << 20
)

// read returns the whole body. What it holds grows with what was received, never with what was
// announced, and every byte is charged to the budget as it comes.
func (d *delivery) read() ([]byte, error) {
	if d.r.ContentLength > d.MaxBodyBytes {
		return nil, errBodyTooLarge
	}
	body := make([]byte, 0, 2048)
	for {
		n, err := d.r.Body.Read(body[len(body):cap(body)])
		if !d.held.take(n) {
			return nil, errBusy
		}
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > d.MaxBodyBytes:
			return nil, errBodyTooLarge
		case errors.Is(err, io.EOF):
			// From here on the time is ours: the deadline must not cut the connection meanwhile.
			return body, d.setReadDeadline(time.Time{})
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, errSlowBody
		case err != nil:
			return nil, errIncompleteBody
		}
		if len(body) == cap(body) {
			grown := make([]byte, len(body), min(2*int64(cap(body)), d.MaxBodyBytes+1))
			copy(grown, body)
			body = grown
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

// drain reads and drops the rest of the body, within the deadline, and says whether that was all. A
// sender that waits to be told to continue is told the answer instead.
func (d *delivery) drain() (whole bool) {
	if strings.EqualFold(d.r.Header.Get("Expect"), "100-continue") && d.held.bytes == 0 {
		return false
	}
	n, err := io.CopyN(io.Discard, d.r.Body, drainBytes)
	return n < drainBytes && errors.Is(err, io.EOF)
}
