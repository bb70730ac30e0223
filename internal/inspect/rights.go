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

// rights remembers what NATS has said that our account may not. It says so in passing, and what was asked
// for looks like a time-out.
type rights struct {
	mu     sync.Mutex
	denied map[string]time.Time // publish or subscribe, a blank, and the subject
}

const (
	mostDenied  = 100
	staysDenied = 20 * time.Second // a right may be granted; what lacks one is tried again before that
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
	if r.denied == nil || len(r.denied) >= mostDenied {
		r.denied = make(map[string]time.Time)
	}
	r.denied[action+" "+m[2]] = now
}

// lacks returns what our account may not, as it was said a moment ago, of what concerns one of the APIs: the
// end of its subject for a stream, such as STREAM.INFO.WEBHOOKS, or to receive any answers at all.
func (r *rights) lacks(now time.Time, apis ...string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for what, said := range r.denied {
		if now.Sub(said) > staysDenied {
			delete(r.denied, what)
			continue
		}
		if strings.HasPrefix(what, "subscribe to ") || slices.ContainsFunc(apis, func(api string) bool { return concerns(what, api) }) {
			return what
		}
	}
	return ""
}

// granted forgets what was denied of the API: it has just worked.
func (r *rights) granted(api string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.denied, func(what string, _ time.Time) bool { return concerns(what, api) })
}

// concerns reports whether a subject is the API's, and not that of another stream whose name is longer. In
// front of it stands $JS.API, or a domain's.
func concerns(subject, api string) bool {
	_, rest, found := strings.Cut(subject, "."+api)
	return found && (rest == "" || rest[0] == '.')
}
