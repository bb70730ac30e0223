package stream

import (
	"regexp"
	"sync"
	"time"
)

// Denied holds the subjects that NATS has denied to our account, on one connection or several. NATS
// reports a denial through the connection's error handler alone: the request itself looks like a
// time-out.
type Denied struct {
	mu       sync.Mutex
	subjects map[string]time.Time // when each was denied last
}

const maxDenied = 1000

var violation = regexp.MustCompile(`(?i)for (?:publish|subscription) to "([^"]+)"`)

// Note adds the subject that NATS' error names, and reports whether it is new.
func (d *Denied) Note(err error) (subject string, isNew bool) {
	subject = err.Error()
	if m := violation.FindStringSubmatch(subject); m != nil {
		subject = m[1]
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.subjects == nil || len(d.subjects) >= maxDenied { // requests on the forgotten subjects time out once more
		d.subjects = make(map[string]time.Time)
	}
	_, known := d.subjects[subject]
	d.subjects[subject] = time.Now()
	return subject, !known
}

// Find returns a subject that was denied since a time, and that is one of those asked for; "": none.
func (d *Denied) Find(since time.Time, isWanted func(subject string) bool) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for subject, at := range d.subjects {
		if !at.Before(since) && isWanted(subject) {
			return subject
		}
	}
	return ""
}
