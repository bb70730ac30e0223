package cli

import (
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// Without an endpoint in the environment no duplicate window is assumed.
func TestReach(t *testing.T) {
	cfg, err := program{environ: []string{"FLOCK_SECRETS=x"}}.load(drainVariables...)
	expect.NoError(t, err)
	expect.Equal(t, 10*time.Minute, reachOf(cfg, 65*time.Minute), "the reach with an endpoint")
	if cfg, err = (program{}).load(drainVariables...); err != nil {
		t.Fatal(err)
	}
	for window, want := range map[time.Duration]time.Duration{0: 24*time.Hour + 5*time.Minute, time.Hour: 24*time.Hour + 5*time.Minute, 25 * time.Hour: 50 * time.Hour} {
		expect.Equal(t, want, reachOf(cfg, window), "the reach with no endpoint, and a window of %s", window)
	}
}
