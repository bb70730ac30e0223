package relay

import (
	"testing"
	"time"
)

func TestBreaker(t *testing.T) {
	now := time.Unix(0, 0)
	b := breaker{now: func() time.Time { return now }}
	state := func(want string, allows bool) {
		t.Helper()
		if got := b.state(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if got := b.allow(); got != allows {
			t.Errorf("allows %t, want %t", got, allows)
		}
	}
	for range breaksAfter - 1 {
		b.report(false)
	}
	state("closed", true)
	b.report(false)
	state("open", false)
	now = now.Add(probeEvery)
	state("half-open", true)
	state("open", false) // one probe at a time
	now = now.Add(probeEvery)
	b.report(false)
	state("open", false)
	b.report(true)
	state("closed", true)
}
