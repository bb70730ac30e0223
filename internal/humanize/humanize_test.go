package humanize

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		25 * time.Hour: "25h", 90 * time.Minute: "1h30m", 5 * time.Minute: "5m", 10 * time.Second: "10s", 400 * time.Millisecond: "400ms",
		time.Hour + time.Second: "1h0m1s", 20 * time.Minute: "20m", 0: "0s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%d ns are written %s, want %s", d, got, want)
		}
	}
}

func TestText(t *testing.T) {
	if got, want := Text("Zoë \x1b[2J\r\n\u202e\u0085x"), "Zoë \ufffd[2J\ufffd\ufffd\ufffd\ufffdx"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
