package publish

import (
	"errors"
	"net"
	"strings"
)

// logDedup holds the texts that were logged since the connection was lost.
type logDedup map[string]bool

const maxTexts = 100

// isNew reports whether the error has not been logged yet, and notes it.
func (d logDedup) isNew(err error) bool {
	text := strings.ToLower(err.Error())
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Source != nil {
		text = strings.ReplaceAll(text, op.Source.String(), "") // each attempt has a port of its own
	}
	if d[text] {
		return false
	}
	if len(d) == maxTexts { // some are logged again, rather than a new one never
		clear(d)
	}
	d[text] = true
	return true
}
