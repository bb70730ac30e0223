package relay

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

func TestBreaker(t *testing.T) { synctest.Test(t, testBreaker) }

func testBreaker(t *testing.T) {
	var b breaker
	state := func(want string, allows bool) {
		t.Helper()
		expect.Equal(t, want, b.state(), "the state")
		expect.Equal(t, allows, b.allow(), "whether it allows one")
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
