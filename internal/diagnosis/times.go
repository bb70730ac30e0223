package diagnosis

import (
	"strings"
	"time"
)

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// long writes how long something lasted, to the second, and from two days on in days.
func long(d time.Duration) string {
	const day, years = 24 * time.Hour, 100
	if d >= years*365*day { // a Duration ends at 292
		return "more than 100 years"
	}
	if d >= 2*day {
		return count(int(d/day), "day")
	}
	return short(d.Round(time.Second))
}

// short writes a duration without its zeros: 5m, not 5m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
