package cli

import (
	"errors"
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
)

// memoryPart is Go's share of the container's limit. The rest is for what Go doesn't count: the program itself
// and cached pages of the spool's files.
const memoryPart = 0.9

// limitMemory sets Go's memory limit from the container's. Otherwise the heap may grow to twice what is in use,
// and past the container's limit the process is killed. Without a container it sets an ample limit. It doesn't
// change a GOMEMLIMIT that is set.
func limitMemory(log *zap.Logger, c *config.Config, container memlimit.Provider) {
	if set, ok := os.LookupEnv("GOMEMLIMIT"); ok {
		log.Info("memory limit as GOMEMLIMIT says", zap.String("gomemlimit", set))
		return
	}
	limit, err := memlimit.Set(memlimit.WithRatio(memoryPart), memlimit.WithProvider(container))
	if errors.Is(err, memlimit.ErrCgroupsNotSupported) { // not Linux: there are no containers
		limit, err = math.MaxInt64, nil
	}
	switch {
	case err != nil:
		log.Warn("the container's memory limit can't be read: set GOMEMLIMIT", zap.Error(err))
	case limit < math.MaxInt64:
		log.Info("memory limit from the container's", zap.Int64("gomemlimit_bytes", limit), zap.Float64("part", memoryPart), growBy(limitedGC))
	case c.IsEmbedded():
		// What the nats-server needs is a matter of its streams, and a limit below that would leave no time for anything else.
		log.Info("memory is not limited: there is no container, or it has no limit", growBy(embeddedGC))
	default:
		ample := besides + int64(c.MaxInFlightBytes)
		debug.SetMemoryLimit(ample)
		log.Info("memory limit from MAX_IN_FLIGHT_BYTES: there is no container, or it has no limit", zap.Int64("gomemlimit_bytes", ample), growBy(limitedGC))
	}
}

// growBy lets the heap grow by so many percent of what is in use (GOGC), unless GOGC is set.
func growBy(percent int) zap.Field {
	if _, ok := os.LookupEnv("GOGC"); ok {
		return zap.Skip()
	}
	debug.SetGCPercent(percent)
	return zap.Int("gogc", percent)
}

const (
	// besides is what the bridge holds besides the bytes in flight, and some room for the garbage collector: past this
	// there is nothing that a larger heap would be good for.
	besides = 96 << 20
	// limitedGC is where a limit holds: collecting is a tenth of an event's cost at Go's 100 (docs/performance.md).
	limitedGC = 175
	// embeddedGC is where there is none.
	embeddedGC = 50
)
