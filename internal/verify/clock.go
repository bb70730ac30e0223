package verify

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// Window is the time in which a delivery must be received to be accepted, both ends included.
type Window struct{ From, To time.Time }

// IsEmpty reports whether the delivery is never accepted.
func (w Window) IsEmpty() bool { return w.To.Before(w.From) }

// Holds reports whether a delivery that is received then is accepted.
func (w Window) Holds(t time.Time) bool { return !t.Before(w.From) && !t.After(w.To) }

// Window returns the window in which Request.Within accepts the delivery's time, and Request.Recent
// its signed time.
func (c *Claims) Window(tolerance, ahead time.Duration) Window {
	w := Window{c.Occurred.Add(-ahead), c.Occurred.Add(tolerance)}
	if limit := c.Created.Add(tolerance); !c.Created.IsZero() && limit.Before(w.To) {
		w.To = limit
	}
	return w
}

// Recent refuses a time that is older than the tolerance.
func (r *Request) Recent(t time.Time) error {
	if !r.Untimed && t.Before(r.Now.Add(-r.Tolerance)) {
		return Stale
	}
	return nil
}

// Within refuses a time that is older than the tolerance, or further in the future than ahead.
func (r *Request) Within(t time.Time, ahead time.Duration) error {
	switch {
	case r.Untimed || !t.After(r.Now.Add(ahead)):
		return r.Recent(t)
	case IsMilliseconds(t):
		return fmt.Errorf("%w: its time is in milliseconds, and was read as seconds", Future)
	}
	return Future
}

// IsMilliseconds reports whether a time that was read as seconds must be one in milliseconds: in
// seconds it lies beyond the year 9999, and in milliseconds after 1978.
func IsMilliseconds(t time.Time) bool { return t.Year() > 9999 }

// UnixTime reads a JSON number of seconds since 1970, to the microsecond, which is about the
// precision of a double today. A time that RFC 3339 can't write is moved to the nearest end outside
// its range, where no tolerance reaches.
func UnixTime(number stringify.Text) (time.Time, bool) {
	seconds, ok := number.Number()
	if !ok {
		return time.Time{}, false
	}
	const outside = 253402300800 // the year 10000
	seconds = min(max(seconds, -outside), outside)
	return time.UnixMicro(int64(math.Round(seconds * 1e6))).UTC(), true
}

// rfc3339Shape is the grammar of a date-time (RFC 3339, section 5.6). time.Parse also takes a
// decimal comma and an hour of one digit.
var rfc3339Shape = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$`)

// RFC3339 reads an RFC 3339 date-time. It returns the time and the text as it was sent, with t and
// z in capitals: the RFC allows small ones, which many readers don't expect.
func RFC3339(text string) (time.Time, string, bool) {
	text = strings.ToUpper(text)
	if len(text) > 64 || !rfc3339Shape.MatchString(text) {
		return time.Time{}, "", false
	}
	t, err := time.Parse(time.RFC3339, text)
	return t, text, err == nil
}
