package cli

import (
	"bufio"
	"io"
	"sync"
	"time"
)

// lines is a writer for many lines at one time that keeps none of them back for long.
type lines struct {
	mu     sync.Mutex
	buffer *bufio.Writer
	err    error
	late   *time.Timer // nil: nothing is kept back
}

// keepBack is how long a line may wait for more.
const keepBack = 50 * time.Millisecond

func newLines(w io.Writer) *lines { return &lines{buffer: bufio.NewWriterSize(w, 64<<10)} }

// Write keeps the text for a moment. Its error may be that of text before.
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

// Flush writes what is kept.
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
