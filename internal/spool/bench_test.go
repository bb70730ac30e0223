package spool

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// body is about as long as a usual event.
var body = make([]byte, 1000)

func unlimited(c *Config) { c.MaxBytes = 100 << 30 }

// BenchmarkAppend measures the spool against what bbolt offers by itself: a transaction for each record,
// and db.Batch, which waits up to 10 ms for others to join.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64} {
		run := func(name string, appending func(b *testing.B) func(n int64) error) {
			b.Run(fmt.Sprintf("%s/%d", name, writers), func(b *testing.B) {
				add := appending(b)
				var n atomicCounter
				b.ResetTimer()
				work(writers, b.N, func() {
					if err := add(n.Add(1)); err != nil {
						b.Error(err)
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			})
		}
		run("spool", func(b *testing.B) func(int64) error {
			f := open(b, b.TempDir(), unlimited)
			return func(n int64) error {
				return f.Append(context.Background(), long(fmt.Sprint(n), body), arrived, attempted)
			}
		})
		run("batch", func(b *testing.B) func(int64) error { return naive(b, (*bbolt.DB).Batch) })
		run("update", func(b *testing.B) func(int64) error { return naive(b, (*bbolt.DB).Update) })
	}
}

// naive appends records to a bbolt file of its own.
func naive(b *testing.B, update func(*bbolt.DB, func(*bbolt.Tx) error) error) func(n int64) error {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "db"), 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(metaBucket); return err }); err != nil {
		b.Fatal(err)
	}
	return func(n int64) error {
		r := Record{Message: long(fmt.Sprint(n), body), Seq: uint64(n), Arrived: arrived, Attempted: attempted}
		value := r.encode(false)
		return update(db, func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(keyOf(r.Seq), value) })
	}
}

// BenchmarkDrain reads and settles, 256 at a time, what the appends before have left.
func BenchmarkDrain(b *testing.B) {
	f := open(b, b.TempDir(), unlimited)
	fill(b, f, b.N, body)
	b.ResetTimer()
	for after := uint64(0); ; {
		records, err := f.Next(durable.Event, after, 256)
		if err != nil {
			b.Fatal(err)
		}
		if len(records) == 0 {
			break
		}
		after = records[len(records)-1].Seq
		f.Settle(durable.Event, after, nil)
	}
	f.close() // it ends when all is settled on disk
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkOpen opens 500 MB of records: after a regular end, and damaged.
func BenchmarkOpen(b *testing.B) {
	const size = 500 << 20
	data := make([]byte, 4000)
	dir := b.TempDir()
	f := open(b, dir, unlimited)
	fill(b, f, size/len(data), data)
	f.close()
	path := filepath.Join(dir, fileName)
	measure := func(name string, before func()) {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				before()
				b.StartTimer()
				f := open(b, dir, unlimited)
				b.StopTimer()
				if n := f.Len(durable.Event); n != int64(size/len(data)) {
					b.Fatalf("%d records", n)
				}
				f.close()
				b.StartTimer()
			}
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(info.Size()*int64(b.N))/1e6/b.Elapsed().Seconds(), "MB/s")
			b.ReportMetric(float64(size/len(data)*b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
	measure("sound", func() {})
	measure("damaged", func() {
		damages, err := filepath.Glob(filepath.Join(dir, damagedName+"*"))
		if err != nil {
			b.Fatal(err)
		}
		for _, damage := range damages {
			_ = os.Remove(damage)
		}
		write(b, path, pageHeader, 0) // the head's magic
	})
}

// fill appends n records, many at a time.
func fill(t tb, f *fixture, n int, data []byte) {
	t.Helper()
	var next atomicCounter
	work(256, n, func() {
		id := string(binary.AppendUvarint(nil, uint64(next.Add(1))))
		if err := f.Append(context.Background(), long(id, data), arrived, attempted); err != nil {
			t.Errorf("appending: %v", err)
		}
	})
}

func long(id string, data []byte) durable.Message {
	return durable.Message{Subject: "webhooks.flock.invitee.accepted", ID: id, Data: data}
}
