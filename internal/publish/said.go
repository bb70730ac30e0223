package publish

import (
	"errors"
	"net"
	"strings"
	"sync"
)

// said is what was logged on this connection, or while there was none.
type said struct {
	mu    sync.Mutex
	texts map[string]bool
}

// isNew says whether the error wasn't logged yet.
func (s *said) isNew(err error) bool {
	text := strings.ToLower(err.Error())
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Source != nil {
		text = strings.ReplaceAll(text, op.Source.String(), "") // each attempt has a port of its own
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.texts[text] {
		return false
	}
	if s.texts == nil || len(s.texts) == mostSaid { // then some are said again, rather than a new one never
		s.texts = make(map[string]bool)
	}
	s.texts[text] = true
	return true
}

func (s *said) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.texts)
}

const mostSaid = 100 // different errors
