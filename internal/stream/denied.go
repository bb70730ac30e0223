package stream

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Denied holds the rights that NATS has denied to our account, on one connection or several. NATS reports
// a denial only to the connection's error handler: the request itself times out.
type Denied struct {
	mu     sync.Mutex
	rights map[string]time.Time // such as "publish on webhooks.a": when each was denied last
}

const (
	maxDenied   = 1000
	publishOn   = "publish on "
	subscribeTo = "subscribe to "
)

var violation = regexp.MustCompile(`(?i)for (?:(publish)|subscription) to "([^"]+)"`)

// Note adds the right that NATS' error names, and reports whether it is new.
func (d *Denied) Note(err error) (right string, isNew bool) {
	switch m := violation.FindStringSubmatch(err.Error()); {
	case m == nil:
		right = err.Error()
	case m[1] == "":
		right = subscribeTo + m[2]
	default:
		right = publishOn + m[2]
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rights == nil || len(d.rights) >= maxDenied { // a request that needs a forgotten one times out once more
		d.rights = make(map[string]time.Time)
	}
	_, known := d.rights[right]
	d.rights[right] = time.Now()
	return right, !known
}

// Publishing reports whether publishing on the subject was denied since a time.
func (d *Denied) Publishing(subject string, since time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.rights) == 0 { // the usual case
		return false
	}
	at, known := d.rights[publishOn+subject]
	return known && !at.Before(since)
}

// RightFor returns a right that was denied since a time and that one of the requests to JetStream needs, or
// its answer; "" if there is none. A request is the beginning of what follows $JS.API in a subject, with a
// dot after each whole token.
func (d *Denied) RightFor(requests []string, since time.Time) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for right, at := range d.rights {
		isNeeded := strings.HasPrefix(right, subscribeTo) || strings.HasPrefix(right, publishOn+"$JS.") &&
			slices.ContainsFunc(requests, func(request string) bool { return strings.Contains(right+".", "."+request) })
		if isNeeded && !at.Before(since) {
			return right
		}
	}
	return ""
}

// Requests returns the requests that a [Reader] of the stream needs, with consumers of these names or
// prefixes. Deleting a consumer isn't one: the server removes an unused one by itself.
func Requests(stream string, consumers ...string) []string {
	return append(consumerRequests(stream, consumers), "STREAM.INFO."+stream+".")
}

func consumerRequests(stream string, consumers []string) (all []string) {
	for _, name := range consumers {
		all = append(all, "CONSUMER.CREATE."+stream+"."+name, "CONSUMER.MSG.NEXT."+stream+"."+name)
	}
	return all
}
