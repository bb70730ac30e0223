package config

import (
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		25 * time.Hour: "25h", 90 * time.Minute: "1h30m", 5 * time.Minute: "5m", 10 * time.Second: "10s", 400 * time.Millisecond: "400ms",
		time.Hour + time.Second: "1h0m1s", 20 * time.Minute: "20m", 0: "0s",
	} {
		expect.Equal(t, want, FormatDuration(d), "how %d ns are written", d)
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 records", 1: "1 record", 2: "2 records"} {
		expect.Equal(t, want, Count(n, "record"), "how %d of them are written", n)
	}
}
