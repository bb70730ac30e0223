package cli

import (
	"bufio"
	"io"
	"sync"
	"time"
)

// lines is a buffered writer that flushes itself after a moment.
type lines struct {
	mu     sync.Mutex
	buffer *bufio.Writer
	err    error
	late   *time.Timer // flushes; nil: the buffer is empty
}

// keepBack is how long a line may stay in the buffer.
const keepBack = 50 * time.Millisecond

func newLines(w io.Writer) *lines { return &lines{buffer: bufio.NewWriterSize(w, 64<<10)} }

// Write buffers the text. Its error may belong to earlier text.
func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	if l.late == nil {
		l.late = time.AfterFunc(keepBack, func() { _ = l.Flush() })
	}
	n, err := l.buffer.Write(text)
	l.err = err
	return n, err
}

// Flush writes the buffer.
func (l *lines) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.late != nil {
		l.late.Stop()
		l.late = nil
	}
	if err := l.buffer.Flush(); l.err == nil {
		l.err = err
	}
	return l.err
}
