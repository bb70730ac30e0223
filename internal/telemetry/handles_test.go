package telemetry

import (
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// Each set of labels has its own metric, found once, also by concurrent callers.
func TestHandles(t *testing.T) {
	t.Parallel()
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "n", Help: "h"}, []string{"a", "b"})
	handles := NewHandles(func(l [2]string) prometheus.Counter { return vec.WithLabelValues(l[:]...) })
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				for _, labels := range [][2]string{{"x", "y"}, {"y", "x"}, {"", "xy"}} {
					handles.Of(labels).Inc()
				}
			}
		})
	}
	group.Wait()
	want := `
		# HELP n h
		# TYPE n counter
		n{a="",b="xy"} 800
		n{a="x",b="y"} 800
		n{a="y",b="x"} 800
	`
	if err := testutil.CollectAndCompare(vec, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if n := len(*handles.known.Load()); n != 3 {
		t.Errorf("%d are known", n)
	}
}
