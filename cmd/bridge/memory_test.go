package main

import (
	"errors"
	"math"
	"os"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	failing := func() (uint64, error) { return 0, errors.New("no such file") }
	none := func() (uint64, error) { return 0, memlimit.ErrNoLimit }
	for _, test := range []struct {
		name, set string
		container memlimit.Provider
		otherwise int64
		said      string
		limit     int64
	}{
		{"container", "", memlimit.Limit(1_000_000_000), 5, "memory limit from the container's", 900_000_000},
		{"no limit", "", none, 0, "memory is not limited: there is no container, or it has no limit", math.MaxInt64},
		{"no container", "", none, 160_000_000, "memory limit from MAX_IN_FLIGHT_BYTES: there is no container, or it has none", 160_000_000},
		{"unreadable", "", failing, 5, "the container's memory limit can't be read: set GOMEMLIMIT", 7_000_000_000},
		{"set", "500MiB", memlimit.Limit(1_000_000_000), 5, "memory limit as GOMEMLIMIT says", 7_000_000_000}, // the runtime has read it
	} {
		t.Run(test.name, func(t *testing.T) {
			debug.SetMemoryLimit(7_000_000_000)
			t.Setenv("GOMEMLIMIT", test.set) // and have it as it was in the end
			if test.set == "" {
				_ = os.Unsetenv("GOMEMLIMIT")
			}
			core, logs := observer.New(zap.InfoLevel)
			limitMemory(zap.New(core), test.container, test.otherwise)
			if limit := debug.SetMemoryLimit(-1); limit != test.limit {
				t.Errorf("the limit is %d, want %d", limit, test.limit)
			}
			var said []string
			for _, entry := range logs.All() {
				said = append(said, entry.Message)
			}
			if diff := cmp.Diff([]string{test.said}, said); diff != "" {
				t.Error(diff)
			}
		})
	}
}
