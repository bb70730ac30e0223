package inspect

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// rights holds the permissions that NATS has reported as missing. It reports them through the error
// handler alone, and the request itself looks like a time-out.
type rights struct {
	mu     sync.Mutex
	denied map[string]time.Time // by action and subject: when it was reported
}

const maxDenied = 100

var violation = regexp.MustCompile(`(?i)for (publish|subscription) to "([^"]+)"`)

func (r *rights) note(err error, now time.Time) {
	m := violation.FindStringSubmatch(err.Error())
	if m == nil || !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	action := "publish on "
	if strings.EqualFold(m[1], "subscription") {
		action = "subscribe to "
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.denied == nil || len(r.denied) >= maxDenied {
		r.denied = make(map[string]time.Time)
	}
	r.denied[action+m[2]] = now
}

// toRead returns the APIs that reading a stream needs, with consumers whose names have this prefix.
func toRead(stream, consumers string) (apis []string) {
	return []string{
		"STREAM.INFO." + stream + ".", "CONSUMER.CREATE." + stream + "." + consumers, "CONSUMER.MSG.NEXT." + stream + "." + consumers,
	}
}

// lacks returns a permission that was reported as missing since a time: for one of the APIs, or for
// the inbox. "": none.
func (r *rights) lacks(since time.Time, apis []string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for what, at := range r.denied {
		if !at.Before(since) && (strings.HasPrefix(what, "subscribe to ") || concerns(what, apis)) {
			return what
		}
	}
	return ""
}

// concerns reports whether the subject is of one of the APIs. These have neither the prefix $JS.API
// nor that of a domain, and may be a beginning; one that ends with a dot is not that of another
// name.
func concerns(subject string, apis []string) bool {
	for _, api := range apis {
		if strings.Contains(subject+".", "."+api) {
			return true
		}
	}
	return false
}
