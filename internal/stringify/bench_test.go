package stringify

import (
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// BenchmarkParse makes the canonical form of usual bodies. No test judges times; cost_test.go
// judges allocations.
func BenchmarkParse(b *testing.B) {
	for _, in := range usual(b) {
		b.Run(in.name, func(b *testing.B) { benchmarkParse(b, in.text) })
	}
}

// BenchmarkWorst reads the most expensive megabytes. One core must finish each in 100 ms.
func BenchmarkWorst(b *testing.B) {
	for _, in := range worst(1 << 20) {
		b.Run(in.name, func(b *testing.B) { benchmarkParse(b, in.text) })
	}
}

func benchmarkParse(b *testing.B, src []byte) {
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		expect.NoError(b, expect.Err(Parse(src)))
	}
}
