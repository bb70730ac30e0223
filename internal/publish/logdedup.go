package publish

import (
	"errors"
	"net"
	"strings"
	"sync"
)

// logDedup holds the texts that were logged on this connection, or while there was none.
type logDedup struct {
	mu    sync.Mutex
	texts map[string]bool
}

// isNew reports whether the error has not been logged yet, and notes it.
func (d *logDedup) isNew(err error) bool {
	text := strings.ToLower(err.Error())
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Source != nil {
		text = strings.ReplaceAll(text, op.Source.String(), "") // each attempt has a port of its own
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.texts[text] {
		return false
	}
	if d.texts == nil || len(d.texts) == maxTexts { // some are logged again, rather than a new one never
		d.texts = make(map[string]bool)
	}
	d.texts[text] = true
	return true
}

func (d *logDedup) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.texts)
}

const maxTexts = 100
