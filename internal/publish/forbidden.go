package publish

import (
	"errors"
	"maps"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var errForbidden = errors.New("our account may not publish on this subject")

// forbidden remembers the subjects on which NATS doesn't let us publish. It says so once in passing
// and answers nothing, so that a publish there looks like a time-out.
type forbidden struct {
	any      atomic.Bool // some are remembered, perhaps too old ones
	mu       sync.Mutex
	subjects map[string]time.Time // when it was said
}

const (
	mostForbidden = 1000
	// staysForbidden is how long nothing is sent on such a subject: a right may be granted while we are
	// connected.
	staysForbidden = 10 * time.Second
)

var publishTo = regexp.MustCompile(`(?i)for publish to "([^"]+)"`)

// note takes the subject from what the server says.
func (f *forbidden) note(err error) {
	m := publishTo.FindStringSubmatch(err.Error())
	if m == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subjects == nil {
		f.subjects = make(map[string]time.Time)
	}
	if len(f.subjects) >= mostForbidden {
		f.makeRoom()
	}
	f.subjects[m[1]] = time.Now()
	f.any.Store(true)
}

// makeRoom forgets what is no longer of use, and if that is nothing, any one.
func (f *forbidden) makeRoom() {
	maps.DeleteFunc(f.subjects, func(_ string, said time.Time) bool { return time.Since(said) > staysForbidden })
	for subject := range f.subjects {
		if len(f.subjects) < mostForbidden {
			return
		}
		delete(f.subjects, subject)
	}
}

// has says whether the subject was forbidden a moment ago.
func (f *forbidden) has(subject string) bool {
	if !f.any.Load() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	said, ok := f.subjects[subject]
	if ok && time.Since(said) > staysForbidden {
		delete(f.subjects, subject)
		return false
	}
	return ok
}

// hasPrefix says whether a subject was forbidden a moment ago that begins with the prefix and has one of
// the parts.
func (f *forbidden) hasPrefix(prefix string, parts ...string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for subject, said := range f.subjects {
		if !strings.HasPrefix(subject, prefix) || time.Since(said) > staysForbidden {
			continue
		}
		for _, part := range parts {
			if strings.Contains(subject, part) {
				return true
			}
		}
	}
	return false
}

// clear forgets everything: another connection may have other rights.
func (f *forbidden) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.subjects)
	f.any.Store(false)
}
