package main

import (
	"math"
	"os"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"go.uber.org/zap"
)

// memoryPart of the container's limit is Go's. The rest is for what Go doesn't count: the program itself, the pages of the
// spool's file.
const memoryPart = 0.9

// limitMemory has Go's garbage collector keep within the container's limit (GOMEMLIMIT): without it the heap
// may grow to twice what is in use, and past the limit the process is killed. A GOMEMLIMIT that is set is left alone.
func limitMemory(log *zap.Logger, container memlimit.Provider) {
	if set, ok := os.LookupEnv("GOMEMLIMIT"); ok {
		log.Info("memory limit as GOMEMLIMIT says", zap.String("gomemlimit", set))
		return
	}
	switch limit, err := memlimit.Set(memlimit.WithRatio(memoryPart), memlimit.WithProvider(container)); {
	case err != nil:
		log.Warn("the container's memory limit can't be read: set GOMEMLIMIT", zap.Error(err))
	case limit == math.MaxInt64:
		log.Info("memory is not limited: there is no container, or it has no limit")
	default:
		log.Info("memory limit from the container's", zap.Int64("gomemlimit_bytes", limit), zap.Float64("part", memoryPart))
	}
}
