// Command bench measures the bridge against a floor, the least Go that does the job without being
// it, and prints a table of ratios with their targets. docs/performance.md says what each of them
// means.
//
// The bridge, as it is shipped, the floor and a real nats-server run in processes of their own;
// they and the load share one machine, so that what is compared is what was measured right after
// each other, and never a time alone.
package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if os.Getenv(envAddr) != "" {
		if err := serveFloor(); err != nil {
			fmt.Fprintln(stderr, "floor:", err)
			return 1
		}
		return 0
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	m := measurement{pairs: 15, each: time.Second, progress: stderr}
	flags.IntVar(&m.pairs, "pairs", m.pairs, "how many pairs of rounds")
	flags.DurationVar(&m.each, "each", m.each, "how long a round lasts")
	flags.StringVar(&m.profile, "profile", "", "write a processor profile of the loaded bridge to this file, and measure nothing")
	flags.StringVar(&m.only, "only", "", "measure only what has this in its name")
	short := flags.Bool("short", false, "one pair of short rounds: shows that it works, its figures say nothing")
	grows := flags.Bool("growth", false, "show instead how the bridge's cost grows: connections, bodies, secrets")
	if flags.Parse(args) != nil {
		return 2
	}
	if *short {
		m.pairs, m.each = 1, 200*time.Millisecond
	}
	if *grows {
		if err := growth(m.each, stdout); err != nil {
			fmt.Fprintln(stderr, "bench:", err)
			return 1
		}
		return 0
	}
	rows, err := m.take()
	if err == nil && rows != nil {
		fmt.Fprintf(stdout, "%s; %d CPUs; GOGC as shipped; store and spool in memory; %s\n", runtime.Version(), runtime.NumCPU(), loadAverage())
		err = printTable(stdout, rows)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// loadAverage says how busy the machine is, with what else runs on it.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "load average unknown"
	}
	return "load average " + strings.Join(strings.Fields(string(text))[:3], " ")
}

// measurement is one run.
type measurement struct {
	pairs    int
	each     time.Duration
	only     string
	profile  string
	progress io.Writer
	rows     []row
}

// step takes one measurement, unless it isn't wanted.
func (m *measurement) step(name string, take func() ([]row, error)) error {
	if !strings.Contains(name, m.only) {
		return nil
	}
	fmt.Fprintf(m.progress, "%s …\n", name)
	rows, err := take()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	m.rows = append(m.rows, rows...)
	return nil
}

func (m *measurement) take() ([]row, error) {
	fmt.Fprintln(m.progress, "building …")
	w, err := newWorld()
	if err != nil {
		return nil, err
	}
	defer w.close()
	if m.profile != "" {
		return nil, profile(w, m.profile, 10*time.Second)
	}
	var capacity float64 // of the floor, with 128 connections
	for _, connections := range []int{32, 128} {
		err = m.step(fmt.Sprintf("closed loop, %d connections", connections), func() ([]row, error) {
			all, err := pairs(m.pairs, m.each, load{connections: connections}, w.floor, w.bridge, w.sweep)
			if err != nil {
				return nil, err
			}
			capacity = median(all, func(p pair) float64 { return p.floor.perSecond() })
			name := fmt.Sprintf("%d connections", connections)
			return append(ofPairs(name, all), latency(name, "p50", 50, 1, all), latency(name, "p99", 99, 1, all), latency(name, "p99.9", 99.9, 1, all)), nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, connections := range []int{32, 128} {
		err := m.step(fmt.Sprintf("closed loop by net/http, %d connections", connections), func() ([]row, error) {
			all, err := pairs(m.pairs, m.each, load{connections: connections, http: true}, w.floor, w.bridge, w.sweep)
			if err != nil {
				return nil, err
			}
			return ofPairs(fmt.Sprintf("net/http, %d connections", connections), all), nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, s := range []struct {
		name string
		take func() ([]row, error)
	}{
		{"memory", func() ([]row, error) {
			peak, err := w.bridge.Peak()
			return []row{{name: "peak memory, 128 connections, MB", format: "%.0f", value: float64(peak) / 1e6, target: 40}}, err
		}},
		{"open loop", func() ([]row, error) { return m.openLoop(w, capacity) }},
		{"refused", func() ([]row, error) {
			all, err := pairs(m.pairs, m.each/2, load{connections: 32, forge: true}, w.floor, w.bridge, w.sweep)
			if err != nil {
				return nil, err
			}
			return []row{perSecond("wrong signatures", 0.9, all)}, nil
		}},
		{"spool", func() ([]row, error) {
			all, err := pairs(m.pairs, m.each/2, load{connections: 32}, w.spoolFloor, w.spoolingBridge, w.sweep)
			if err != nil {
				return nil, err
			}
			return []row{perSecond("spool, 32 connections", 0.9, all)}, nil
		}},
		{"start", func() ([]row, error) {
			starts := make([]float64, m.pairs)
			for i := range starts {
				took, err := w.ready()
				if err != nil {
					return nil, err
				}
				starts[i] = microseconds(took) / 1e3
			}
			return []row{{name: "ready after start, ms", format: "%.0f", value: middle(starts), target: 100}}, nil
		}},
		{"in process", m.inProcess},
	} {
		if err := m.step(s.name, s.take); err != nil {
			return nil, err
		}
	}
	return m.rows, nil
}

// openLoop asks of both half of what the floor can do.
func (m *measurement) openLoop(w *world, capacity float64) ([]row, error) {
	rate := math.Round(capacity / 2)
	if rate == 0 { // not measured
		rate = 5000
	}
	all, err := pairs(m.pairs, m.each, load{connections: 128, rate: rate}, w.floor, w.bridge, w.sweep)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("open loop, %.0f/s", rate)
	return []row{ofPairs(name, all)[0], latency(name, "p50", 50, 1, all), latency(name, "p99", 99, 1, all), latency(name, "p99.9", 99.9, 1, all)}, nil
}

func (m *measurement) inProcess() ([]row, error) {
	ours, err := allocations()
	if err != nil {
		return nil, err
	}
	large, err := largeRatio(m.pairs)
	if err != nil {
		return nil, err
	}
	speeds, err := rewriting(m.pairs)
	if err != nil {
		return nil, err
	}
	return []row{
		{name: "our allocations per event", format: "%.0f", value: ours, target: 10},
		{name: "512 KB bodies", format: "%.2f", value: large, target: 1.3, note: "against validation, two SHA-256 and a copy"},
		{name: "S(x) of non-canonical bodies, MB/s", format: "%.0f", value: slowest(speeds), target: 250, least: true, note: fmt.Sprintf("%.0f at %d bytes", speeds, sizes)},
	}, nil
}
