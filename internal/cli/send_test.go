package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

func TestPercentile(t *testing.T) {
	times := func(n int) []time.Duration {
		sorted := make([]time.Duration, n)
		for i := range sorted {
			sorted[i] = time.Duration(i + 1)
		}
		return sorted
	}
	for _, test := range []struct {
		n, p int
		want time.Duration
	}{
		{1, 0, 1},
		{1, 50, 1},
		{1, 100, 1},
		{2, 50, 1},
		{2, 51, 2},
		{2, 99, 2},
		{10, 50, 5},
		{10, 90, 9},
		{10, 91, 10},
		{10, 99, 10},
		{100, 50, 50},
		{100, 90, 90},
		{100, 99, 99},
		{100, 100, 100},
		{101, 50, 51},
		{101, 99, 100},
		{1000, 99, 990},
	} {
		expect.Equal(t, test.want, percentile(times(test.n), test.p), "p%d of 1 to %d", test.p, test.n)
	}
}

func TestPrintSummary(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	for _, test := range []struct {
		answers map[string]int
		times   []time.Duration
		took    time.Duration
		want    string
	}{
		{
			map[string]int{"503 unavailable": 1, "200 stored": 3, "200 duplicate": 1234567},
			[]time.Duration{ms(4), ms(1), 3*time.Millisecond + 14159*time.Nanosecond, ms(2)},
			2 * time.Second,
			" 1234567  200 duplicate\n       3  200 stored\n       1  503 unavailable\n4 answers in 2s, 2/s; p50 2ms, p90 4ms, p99 4ms, slowest 4ms\n",
		},
		{map[string]int{"502": 1}, []time.Duration{ms(7)}, 1500 * time.Millisecond, "       1  502\n1 answer in 1.5s, 1/s; p50 7ms, p90 7ms, p99 7ms, slowest 7ms\n"},
		{nil, nil, time.Second, ""}, // nothing was answered; the error is printed elsewhere
	} {
		var out strings.Builder
		printSummary(&out, test.answers, test.times, test.took)
		expect.Equal(t, test.want, out.String(), "what was printed")
	}
}

func TestAnswerKind(t *testing.T) {
	for _, test := range []struct {
		status       int
		answer, want string
	}{
		{200, `{"id":"5e0c","status":"stored"}`, "200 stored"},
		{401, `{"code":"stale","status":401,"title":"The event is too old"}`, "401 stale"},
		{502, `<html>Bad gateway</html>`, "502"},
		{503, ``, "503"},
		{500, `{}`, "500"},
		{404, `{"status":404}`, "404"},
		{404, `["not_found"]`, "404"},
		{404, `null`, "404"},
	} {
		expect.Equal(t, test.want, (answer{code: test.status, body: test.answer}).kind(), "kind(%d, %s)", test.status, test.answer)
	}
}
