//go:build linux

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Only acknowledgements are dropped, however the bytes are divided.
func TestSwallow(t *testing.T) {
	t.Parallel()
	const (
		ack  = "MSG _INBOX.a.d1 1 28\r\n{\"stream\":\"S\",\"seq\":1234567}\r\n"
		kept = "PING\r\n-ERR 'x'\r\nMSG a 1 5\r\nPING\n\r\nHMSG a 1 12 12\r\nNATS/1.0\r\n\r\n\r\n"
	)
	for share, want := range map[float64]string{0: kept + ack + kept, 1: kept + kept} {
		sent := kept + ack + kept
		for cut := range len(sent) + 1 {
			s := &swallow{share}
			first, rest := s.filter([]byte(sent[:cut]))
			second, rest := s.filter(append(rest, sent[cut:]...))
			if diff := cmp.Diff(want, string(first)+string(second)); diff != "" || len(rest) > 0 {
				t.Fatalf("share %v, cut at %d, %q is left (-want +got):\n%s", share, cut, rest, diff)
			}
		}
	}
}
