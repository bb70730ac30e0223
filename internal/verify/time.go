package verify

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Unit is how a vendor writes a time.
type Unit string

// The units.
const (
	NoTime       Unit = ""   // its deliveries have no time
	Seconds      Unit = "s"  // a number of seconds since 1970
	Milliseconds Unit = "ms" // a number of milliseconds since 1970
	DateTime     Unit = "rfc3339"
)

// Parse reads a time. written is the time in RFC 3339; "" if its year isn't in 0 … 9999. If ok, t is never
// the zero time, which means no time in Claims.
func (u Unit) Parse(text []byte) (t time.Time, written string, ok bool) {
	switch {
	case len(text) > 64:
		return t, "", false
	case u == DateTime:
		written = strings.ToUpper(string(text)) // the RFC allows t and z, which many readers don't expect
		var err error
		t, err = time.Parse(time.RFC3339, written)
		// time.Parse also takes an hour of one digit, a decimal comma, and zones such as +24:00 and +00:60.
		ok = err == nil && written[len("2006-01-02T15")] == ':' && !strings.Contains(written, ",")
		if zone := written[max(0, len(written)-len("07:00")):]; ok && written[len(written)-1] != 'Z' {
			ok = zone[:2] < "24" && zone[3:] < "60"
		}
	default:
		t, ok = u.number(string(text))
		if year := t.Year(); year >= 0 && year <= 9999 { // RFC 3339 has no others
			written = t.Format(time.RFC3339Nano)
		}
	}
	switch {
	case !ok:
		return time.Time{}, "", false
	case t.IsZero():
		t = t.Add(1)
	}
	return t, written, true
}

// number reads a decimal number to the microsecond, which is about the precision of a double today.
// A time far outside the years 0 … 9999 is moved nearer, but no tolerance reaches it.
func (u Unit) number(text string) (time.Time, bool) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.TrimLeft(text, "0123456789.eE+-") != "" {
		return time.Time{}, false
	}
	if u == Milliseconds {
		n /= 1000
	}
	const outside = 253402300800 // the year 10000
	return time.UnixMicro(int64(math.Round(min(max(n, -outside), outside) * 1e6))).UTC(), true
}

// Format writes a time. In JSON a DateTime needs quotation marks around it.
func (u Unit) Format(t time.Time) string {
	switch u {
	case Milliseconds:
		return strconv.FormatInt(t.UnixMilli(), 10)
	case DateTime:
		return t.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return strconv.FormatInt(t.Unix(), 10)
}

// IsMilliseconds reports whether a time that was read as seconds must be one in milliseconds: in
// seconds it lies beyond the year 9999, and in milliseconds after 1978.
func IsMilliseconds(t time.Time) bool { return t.Year() > 9999 }

// Window is the time in which a delivery must be received to be accepted, both ends included.
type Window struct{ From, To time.Time }

// IsEmpty reports whether the delivery is never accepted.
func (w Window) IsEmpty() bool { return w.To.Before(w.From) }

// Holds reports whether a delivery that is received at t is accepted.
func (w Window) Holds(t time.Time) bool { return !t.Before(w.From) && !t.After(w.To) }

// Window returns the window in which the delivery is accepted.
func (c *Claims) Window(tolerance, ahead time.Duration) Window {
	w := Window{c.Occurred.Add(-ahead), c.Occurred.Add(tolerance)}
	if limit := c.Created.Add(tolerance); !c.Created.IsZero() && limit.Before(w.To) {
		w.To = limit
	}
	return w
}

// AheadOf returns how far in the future a delivery's time may lie with that tolerance.
func (t *Time) AheadOf(tolerance time.Duration) time.Duration {
	return cmp.Or(t.Ahead, tolerance)
}

// Freshness lists the values of …_FRESHNESS, the default first; nil if there is no choice.
func (t *Time) Freshness() (words []string) {
	if t.SignedMember != "" {
		words = []string{FreshnessSigned, FreshnessTime}
	}
	return words
}

// checkTime refuses an authentic delivery outside its window; else it returns readErr, the error of
// reading the claims. A contradiction takes precedence, because the time itself may have been changed.
// Other errors don't: removing an unsigned member must not turn a stale delivery into a 200.
func (p *Provider) checkTime(r *Request, c Claims, readErr error) error {
	if r.Untimed || p.Time.Unit == NoTime || errors.Is(readErr, Contradiction) {
		return readErr
	}
	if readErr != nil && c.Occurred.IsZero() {
		c.Occurred = r.Now // it may still be too old by its signed time
	}
	switch w := c.Window(r.Tolerance, p.Time.AheadOf(r.Tolerance)); {
	case w.Holds(r.Now):
		return readErr
	case r.Now.Before(w.From) && IsMilliseconds(c.Occurred):
		return fmt.Errorf("%w: its time is in milliseconds, and was read as seconds", Future)
	case r.Now.Before(w.From):
		return Future
	case !r.Now.After(c.Occurred.Add(r.Tolerance)): // by its own time it is fresh
		return fmt.Errorf("%w: %s", Stale, p.Time.SignedMember)
	}
	return Stale
}
