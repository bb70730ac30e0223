package hmac

import (
	"regexp"
	"strconv"
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

var decimal = regexp.MustCompile(`^(\d{1,15})(?:\.(\d{1,9}))?$`)

// parse reads a time and returns it with its text in RFC 3339.
func (u unit) parse(text string) (t time.Time, written string, ok bool) {
	if u == rfc3339 {
		return verify.RFC3339(text)
	}
	number := decimal.FindStringSubmatch(text)
	if number == nil {
		return time.Time{}, "", false
	}
	n, _ := strconv.ParseInt(number[1], 10, 64)
	nanoseconds, _ := strconv.ParseInt((number[2] + "000000000")[:9], 10, 64)
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
