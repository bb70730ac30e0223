package hmac

import (
	"strconv"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// unit is how a time is written.
type unit string

const (
	seconds      unit = "s"
	milliseconds unit = "ms"
	rfc3339      unit = "rfc3339"
)

// parse reads a time and returns it with its text in RFC 3339.
func (u unit) parse(text string) (t time.Time, written string, ok bool) {
	if u == rfc3339 {
		return verify.RFC3339Text(text)
	}
	whole, fraction, hasFraction := strings.Cut(text, ".")
	n, ok := digits(whole, 15)
	if !ok {
		return time.Time{}, "", false
	}
	nanoseconds := int64(0)
	if hasFraction {
		if nanoseconds, ok = digits(fraction, 9); !ok {
			return time.Time{}, "", false
		}
		for range 9 - len(fraction) {
			nanoseconds *= 10
		}
	}
	if u == milliseconds {
		t = time.UnixMilli(n).Add(time.Duration(nanoseconds / 1e3)).UTC()
	} else {
		t = time.Unix(n, nanoseconds).UTC()
	}
	if t.Year() > 9999 { // only from quarantine; RFC 3339 can't write it
		return t, "", true
	}
	return t, t.Format(time.RFC3339Nano), true
}

// digits reads a number of at most so many digits.
func digits(text string, most int) (n int64, ok bool) {
	if text == "" || len(text) > most {
		return 0, false
	}
	for i := range len(text) {
		c := text[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	return n, true
}

// format writes a time.
func (u unit) format(t time.Time) string {
	switch u {
	case milliseconds:
		return strconv.FormatInt(t.UnixMilli(), 10)
	case rfc3339:
		return t.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return strconv.FormatInt(t.Unix(), 10)
}
