package main

import (
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

func TestTable(t *testing.T) {
	text := "ok   nats-kill seed 1 deliveries 7\n\n9 runs\n  deliveries                        6739\n  promises (200)                    6213\n  violations                           0\n"
	want := "| 2.10.27 | 6739 | 6213 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |"
	expect.Equal(t, want, table("2.10.27", text), "the row")
}
