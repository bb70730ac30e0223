package relay

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// BenchmarkDrain measures how fast a backlog of 1 KB events goes from the spool to JetStream, with
// all acknowledgements.
func BenchmarkDrain(b *testing.B) {
	s := natsdtest.New(b, "")
	dir := b.TempDir()
	f := start(b, s.URL(), inDir(dir))
	data := make([]byte, 1000)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				m := publish.Message{Subject: subject, ID: fmt.Sprint(i), Data: data}
				if err := f.Spool.Append(context.Background(), arrived(m, 0), time.Time{}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	f.close()
	s.Start()
	f = start(b, s.URL(), inDir(dir))
	poll.Until(b, "begun", func() bool { return f.Publisher.Ready(publish.Event) == nil })
	b.ResetTimer()
	for f.waiting() > 0 {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
