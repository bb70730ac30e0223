package inspect

import (
	"errors"
	"maps"
	"regexp"
	"slices"
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

const (
	maxDenied = 100
	deniedFor = 20 * time.Second // requests are repeated sooner, and a right may be granted
)

var violation = regexp.MustCompile(`(?i)for (publish|subscription) to "([^"]+)"`)

func (r *rights) note(err error, now time.Time) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	m := violation.FindStringSubmatch(err.Error())
	if m == nil {
		return
	}
	action := map[string]string{"publish": "publish on", "subscription": "subscribe to"}[strings.ToLower(m[1])]
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.denied == nil || len(r.denied) >= maxDenied {
		r.denied = make(map[string]time.Time)
	}
	r.denied[action+" "+m[2]] = now
}

// lacks returns a missing permission for one of the APIs, given by the end of its subject such as
// STREAM.INFO.WEBHOOKS, or for the inbox; "" if none is missing.
func (r *rights) lacks(now time.Time, apis ...string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for what, at := range r.denied {
		if now.Sub(at) > deniedFor {
			delete(r.denied, what)
			continue
		}
		if strings.HasPrefix(what, "subscribe to ") || slices.ContainsFunc(apis, func(api string) bool { return concerns(what, api) }) {
			return what
		}
	}
	return ""
}

// granted forgets missing permissions for the API, which has just answered.
func (r *rights) granted(api string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.denied, func(what string, _ time.Time) bool { return concerns(what, api) })
}

// concerns reports whether the subject ends with the API and its stream, after the prefix $JS.API
// or that of a domain.
func concerns(subject, api string) bool {
	_, rest, found := strings.Cut(subject, "."+api)
	return found && (rest == "" || rest[0] == '.')
}
