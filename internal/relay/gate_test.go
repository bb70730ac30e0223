package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

func TestDrainGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g drainGate
		want := func(what string, held bool, took time.Duration) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			expect.Equal(t, held, g.wait(ctx), "%s: whether a message was held", what)
			expect.Equal(t, took, time.Since(began), "%s: for how long", what)
		}
		want("never closed", false, 0)
		g.close()
		want("closed", true, holdFor)
		g.close()
		want("closed again a short time later", false, 0)
		time.Sleep(holdEvery)
		g.close()
		time.AfterFunc(time.Millisecond, g.drained)
		want("drained a millisecond later", true, time.Millisecond)
		want("drained", false, 0)
		g.close()
		want("closed again after it was drained", true, holdFor)
		time.Sleep(holdEvery)
		g.close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		expect.Equal(t, true, g.wait(ctx), "closed, until the sender's time is over")
		g.drained()
	})
}
