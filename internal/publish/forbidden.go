package publish

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"time"
)

var errForbidden = errors.New("our account may not publish on this subject")

// forbidden holds the subjects that the server has refused on one connection. The server reports
// that through the error handler alone, and a refused publish itself looks like a time-out.
type forbidden struct {
	mu       sync.Mutex
	subjects map[string]time.Time // when each was refused
}

const (
	maxForbidden = 1000
	// forbiddenFor is how long nothing is sent on a refused subject. It ends because the right may
	// be granted while the connection lasts.
	forbiddenFor = 10 * time.Second
)

var publishTo = regexp.MustCompile(`(?i)for publish to "([^"]+)"`)

// note adds the subject that the server's error names, and reports whether it is new.
func (f *forbidden) note(violation error) (subject string, isNew bool) {
	subject = violation.Error()
	if m := publishTo.FindStringSubmatch(subject); m != nil {
		subject = m[1]
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subjects == nil || len(f.subjects) >= maxForbidden { // messages on the forgotten subjects time out once more
		f.subjects = make(map[string]time.Time)
	}
	_, known := f.subjects[subject]
	f.subjects[subject] = time.Now()
	return subject, !known
}

// has reports whether the subject is forbidden.
func (f *forbidden) has(subject string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.subjects[subject]
	return ok && time.Since(at) <= forbiddenFor
}

// request returns the subject of a forbidden request to JetStream about the stream or, with kind
// CONSUMER rather than STREAM, its consumers; "" if none is. Deleting a consumer doesn't count: the
// server removes an unused one by itself.
func (f *forbidden) request(kind, stream string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for subject, at := range f.subjects {
		isAbout := strings.HasPrefix(subject, "$JS.") && strings.Contains(subject, "."+kind+".") && strings.Contains(subject+".", "."+stream+".")
		if isAbout && !strings.Contains(subject, ".DELETE.") && time.Since(at) <= forbiddenFor {
			return subject
		}
	}
	return ""
}
