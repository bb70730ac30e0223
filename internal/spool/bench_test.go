package spool

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// body is about as long as a usual event.
var body = make([]byte, 1000)

func unlimited(c *Config) { c.MaxBytes = 100 << 30 }

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			f := open(b, b.TempDir(), unlimited)
			var n atomicCounter
			b.ResetTimer()
			work(writers, b.N, func() {
				if err := f.Append(context.Background(), long(fmt.Sprint(n.Add(1)), body), attempted); err != nil {
					b.Error(err)
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkDrain reads and settles b.N records, 256 at a time.
func BenchmarkDrain(b *testing.B) {
	f := open(b, b.TempDir(), unlimited)
	fill(b, f, b.N, body)
	b.ResetTimer()
	for after := uint64(0); ; {
		records, err := f.Next(publish.Event, after, 256, maxBytes)
		expect.NoError(b, err)
		if len(records) == 0 {
			break
		}
		after = records[len(records)-1].Seq
		f.settle(records, nil)
	}
	f.close() // it ends when all is settled on disk
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkOpen opens a spool of 500 MB and waits until all of it is read.
func BenchmarkOpen(b *testing.B) {
	const size = 500 << 20
	data := make([]byte, 4000)
	dir := b.TempDir()
	f := open(b, dir, unlimited)
	fill(b, f, size/len(data), data)
	f.close()
	b.ResetTimer()
	for range b.N {
		f := open(b, dir, unlimited)
		for f.recovering.Load() {
			time.Sleep(time.Millisecond)
		}
		b.StopTimer()
		if n := f.Len(publish.Event); n != int64(size/len(data)) {
			b.Fatalf("%d records", n)
		}
		f.close()
		b.StartTimer()
	}
	b.ReportMetric(float64(size*b.N)/1e6/b.Elapsed().Seconds(), "MB/s")
}

// fill appends n records, many at a time.
func fill(t tb, f *fixture, n int, data []byte) {
	t.Helper()
	var next atomicCounter
	work(256, n, func() {
		id := string(binary.AppendUvarint(nil, uint64(next.Add(1))))
		if err := f.Append(context.Background(), long(id, data), attempted); err != nil {
			t.Errorf("appending: %v", err)
		}
	})
}

func long(id string, data []byte) publish.Message {
	return publish.Message{Subject: "webhooks.flock.invitee.accepted", ID: id, Data: data, Arrived: arrived}
}
