package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// printSummary prints how often each answer came, and percentiles of the times.
func printSummary(w io.Writer, answers map[string]int, times []time.Duration, took time.Duration) {
	for _, kind := range slices.Sorted(maps.Keys(answers)) {
		_, _ = fmt.Fprintf(w, "%8d  %s\n", answers[kind], kind)
	}
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	short := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	_, _ = fmt.Fprintf(w, "%d answers in %s, %.0f/s; p50 %s, p90 %s, p99 %s, slowest %s\n", len(times), took.Round(time.Millisecond),
		float64(len(times))/took.Seconds(), short(percentile(times, 50)), short(percentile(times, 90)), short(percentile(times, 99)), short(times[len(times)-1]))
}

// percentile returns the smallest of the sorted times that at least p percent don't exceed.
func percentile(times []time.Duration, p int) time.Duration {
	return times[max(0, (p*len(times)+99)/100-1)]
}

// kind returns an answer's HTTP status, and the status or problem code in its body.
func kind(status int, answer string) string {
	var a struct {
		Status any    `json:"status"`
		Code   string `json:"code"`
	}
	_ = json.Unmarshal([]byte(answer), &a) // a proxy's answer may be anything
	what, _ := a.Status.(string)
	if a.Code != "" {
		what = a.Code
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, what))
}
