package relay

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestBreaker(t *testing.T) { synctest.Test(t, testBreaker) }

func testBreaker(t *testing.T) {
	var b breaker
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
	time.Sleep(probeEvery)
	state("half-open", true)
	state("open", false) // one probe at a time
	time.Sleep(probeEvery)
	b.report(false)
	state("open", false)
	b.report(true)
	state("closed", true)
}
