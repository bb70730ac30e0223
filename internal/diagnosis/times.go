package diagnosis

import (
	"time"

	"github.com/ade15e70/webhook-bridge/internal/humanize"
)

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// long writes a duration to the second, and from two days on in days.
func long(d time.Duration) string {
	const day, years = 24 * time.Hour, 100
	if d >= years*365*day { // a Duration ends at 292
		return "more than 100 years"
	}
	if d >= 2*day {
		return count(int(d/day), "day")
	}
	return humanize.Duration(d.Round(time.Second))
}
