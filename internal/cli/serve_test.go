package cli

import (
	"context"
	"errors"
	"math"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/fileio"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

func TestMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	failing := func() (uint64, error) { return 0, errors.New("no such file") }
	none := func() (uint64, error) { return 0, memlimit.ErrNoLimit }
	percent := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	for _, test := range []struct {
		name, set string
		container memlimit.Provider
		vars      []string
		want      string
		limit     int64
		percent   int
	}{
		{"container", "", memlimit.Limit(1_000_000_000), nil, "memory limit from the container", 900_000_000, gcWithLimit},
		{"empty", "", memlimit.Limit(1_000_000_000), nil, "memory limit from the container", 900_000_000, gcWithLimit},
		{
			"small container", "", memlimit.Limit(64_000_000), nil, "memory limit from the container; " +
				"memory doesn't suffice for MAX_IN_FLIGHT_BYTES and many connections, and the kernel may kill the process: raise the container's limit, or lower MAX_IN_FLIGHT_BYTES",
			57_600_000, gcWithLimit,
		},
		{"container, another NATS", "", memlimit.Limit(1_000_000_000), []string{"NATS_URL=nats://nats:4222"}, "memory limit from the container", 900_000_000, gcWithLimit},
		{"no limit", "", none, nil, "memory is not limited: there is no container, or it has no limit", math.MaxInt64, gcWithoutLimit},
		{
			"no limit, another NATS", "", none,
			[]string{"NATS_URL=nats://nats:4222", "MAX_IN_FLIGHT_BYTES=32MiB"},
			"memory limit from MAX_IN_FLIGHT_BYTES: there is no container, or it has no limit", 128 << 20, gcWithLimit,
		},
		{"unreadable", "", failing, nil, "the container's memory limit can't be read: set GOMEMLIMIT", 7_000_000_000, 100},
		{"set", "500MiB", memlimit.Limit(1_000_000_000), nil, "memory limit from GOMEMLIMIT", 7_000_000_000, 100}, // the runtime has read it
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _, err := config.Load(append(test.vars, "FLOCK_SECRETS=x"))
			expect.NoError(t, err)
			debug.SetMemoryLimit(7_000_000_000)
			debug.SetGCPercent(100)
			t.Setenv("GOMEMLIMIT", test.set) // and have it as it was in the end
			if test.set == "" && test.name != "empty" {
				_ = os.Unsetenv("GOMEMLIMIT")
			}
			core, logs := observer.New(zap.InfoLevel)
			limitMemory(zap.New(core), c, test.container)
			expect.Equal(t, test.limit, debug.SetMemoryLimit(-1), "the memory limit")
			expect.Equal(t, test.percent, debug.SetGCPercent(100), "GOGC")
			var got []string
			for _, entry := range logs.All() {
				got = append(got, entry.Message)
			}
			expect.Equal(t, test.want, strings.Join(got, "; "), "what was logged")
		})
	}
}

// A container with the wanted memory isn't warned of again.
func TestWantedMemory(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "") // limitMemory unsets it
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	c, _, err := config.Load([]string{"FLOCK_SECRETS=x"})
	expect.NoError(t, err)
	core, warnings := observer.New(zap.WarnLevel)
	limitMemory(zap.New(core), c, memlimit.Limit(64_000_000))
	wanted, _ := warnings.All()[0].ContextMap()["wanted_bytes"].(int64)
	limitMemory(zap.New(core), c, memlimit.Limit(uint64(wanted)))
	expect.Equal(t, 1, warnings.Len(), "warnings")
}

// A bridge that waits for another one's data directory hasn't failed if it is told to stop.
func TestStoppedWhileDataDirectoryIsInUse(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "1GiB") // serve leaves the tests' own limits alone
	for _, nats := range []string{"EMBEDDED_NATS_ADDR=127.0.0.1:0", "NATS_URL=nats://127.0.0.1:1"} {
		dir := t.TempDir()
		c, _, err := config.Load([]string{"FLOCK_SECRETS=x", "HTTP_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "DATA_DIR=" + dir, nats})
		expect.NoError(t, err)
		for _, used := range []string{dir, app.SpoolDir(c)} {
			lock, err := fileio.LockDir(used, "lock")
			expect.NoError(t, err)
			t.Cleanup(func() { _ = lock.Close() })
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		var log expect.Buffer
		expect.NoError(t, serve(ctx, c, telemetry.NewLogger(&log, "json", "info")))
		if !strings.Contains(log.String(), `"level":"info","time":"`) || !strings.Contains(log.String(), "stopped before the data directory was free") {
			t.Errorf("%s: the log doesn't say why it ended: %s", nats, log.String())
		}
	}
}
