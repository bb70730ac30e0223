package inspect

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestGrowth(t *testing.T) {
	start := time.Unix(1000, 0)
	info := func(behind uint64, made time.Time) *jetstream.ConsumerInfo {
		return &jetstream.ConsumerInfo{Name: "a", Created: made, NumPending: behind}
	}
	l := make(lags)
	for _, step := range []struct {
		at     int // seconds
		behind uint64
		made   time.Time
		want   float64
	}{
		{0, 10, start, 0},
		{2, 14, start, 0}, // too short a time
		{10, 30, start, 2},
		{20, 10, start, 0},
		{45, 110, start, 4},            // since 20
		{50, 5, start, 0},              // less than at 20
		{60, 500, start.Add(1), 0},     // made anew
		{70, 600, start.Add(1), 10},    // since then
		{200, 600, start.Add(1), 0},    // stands still
		{210, 1600, start.Add(1), 100}, // since 200
	} {
		i := info(step.behind, step.made)
		l = l.add(start.Add(time.Duration(step.at)*time.Second), []*jetstream.ConsumerInfo{i})
		if got := l.growth(i); got != step.want {
			t.Errorf("after %d s: %g a second, want %g", step.at, got, step.want)
		}
	}
	if l = l.add(start, nil); len(l) != 0 {
		t.Errorf("%v is left", l)
	}
}
