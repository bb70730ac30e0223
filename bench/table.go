package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// row is one figure with its target.
type row struct {
	name   string
	value  float64
	format string
	least  bool // the target is the least that it may be, not the most
	target float64
	note   string
}

func (r row) meets() bool {
	if r.least {
		return r.value >= r.target
	}
	return r.value <= r.target
}

func printTable(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "figure\tmeasured\ttarget\t\t")
	for _, r := range rows {
		sign, verdict := "≤", "met"
		if r.least {
			sign = "≥"
		}
		if !r.meets() {
			verdict = "NOT MET"
		}
		fmt.Fprintf(t, "%s\t"+r.format+"\t%s "+r.format+"\t%s\t%s\n", r.name, r.value, sign, r.target, verdict, r.note)
	}
	return t.Flush()
}

// ofPairs are the figures of a closed loop.
func ofPairs(name string, all []pair) []row {
	return []row{
		{
			name: "CPU per request, " + name, format: "%.2f", target: 1,
			value: median(all, func(p pair) float64 { return float64(p.bridge.cpu) / float64(p.floor.cpu) }),
			note:  fmt.Sprintf("bridge %.1f µs, floor %.1f µs", microseconds(median(all, func(p pair) time.Duration { return p.bridge.cpu })), microseconds(median(all, func(p pair) time.Duration { return p.floor.cpu }))),
		},
		perSecond(name, 1, all),
	}
}

// perSecond is the figure of requests a second.
func perSecond(name string, target float64, all []pair) row {
	return row{
		name: "requests/s, " + name, format: "%.2f", target: target, least: true,
		value: median(all, func(p pair) float64 { return p.bridge.perSecond() / p.floor.perSecond() }),
		note:  fmt.Sprintf("bridge %.0f, floor %.0f", median(all, func(p pair) float64 { return p.bridge.perSecond() }), median(all, func(p pair) float64 { return p.floor.perSecond() })),
	}
}

// latency is the figure of one quantile.
func latency(name, quantile string, q, target float64, all []pair) row {
	at := func(r round) float64 { return r.quantile(q) / 1e3 }
	return row{
		name: quantile + ", " + name, format: "%.2f", target: target,
		value: median(all, func(p pair) float64 { return at(p.bridge) / at(p.floor) }),
		note:  fmt.Sprintf("bridge %.2f ms, floor %.2f ms", median(all, func(p pair) float64 { return at(p.bridge) }), median(all, func(p pair) float64 { return at(p.floor) })),
	}
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
