package inspect

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// rights holds the permissions that NATS has reported as missing. NATS reports them only to the
// connection's error handler; the request itself times out.
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

// lacks returns a permission that was reported as missing since a time, for one of the APIs or for
// the inbox; "": none. An API is the beginning of a subject after $JS.API, with a dot after each
// whole token.
func (r *rights) lacks(since time.Time, apis []string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for what, at := range r.denied {
		isNeeded := strings.HasPrefix(what, "subscribe to ") || slices.ContainsFunc(apis, func(api string) bool {
			return strings.Contains(what+".", "."+api)
		})
		if isNeeded && !at.Before(since) {
			return what
		}
	}
	return ""
}
