package diagnosis

import (
	"runtime"
	"strings"
	"testing"
)

// allocated returns how many bytes it takes to read a capture.
func allocated(src []byte) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _ = Parse(src)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Reading takes time in proportion to the capture, whatever it contains. Repeated copying would
// show in the bytes allocated, even on a busy machine.
func TestLinear(t *testing.T) {
	const head = "POST /webhooks/a HTTP/1.1\nHost: a\n"
	for name, of := range map[string]func(repeat func(string) string) string{
		"continuation lines":  func(repeat func(string) string) string { return head + repeat(" x\n") + "\n{}" },
		"headers":             func(repeat func(string) string) string { return head + repeat("a: b\n") + "\n{}" },
		"both":                func(repeat func(string) string) string { return head + repeat("a: b\n c\n") + "\n{}" },
		"lines that are none": func(repeat func(string) string) string { return head + repeat("(\n") + "\n{}" },
		"chunks": func(repeat func(string) string) string {
			return head + "Transfer-Encoding: chunked\n\n" + repeat("1\na\n")
		},
		"chunks of other length": func(repeat func(string) string) string {
			return head + "Transfer-Encoding: chunked\n\n" + repeat("1\nab\n")
		},
		"requests": func(repeat func(string) string) string { return repeat(head) },
		"prefixed": func(repeat func(string) string) string { return "> " + head + repeat("> a: b\n") },
		"packets": func(repeat func(string) string) string {
			return repeat("12:00:00.1 IP a > b: length 3: HTTP\n" + head + "abc\n")
		},
		"answer": func(repeat func(string) string) string {
			return "> POST /webhooks/a HTTP/1.1\n> Host: a\n> \n" + repeat("< a: b\n< \n") + repeat("* a\n") + repeat("a\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			size := func(n int) []byte {
				return []byte(of(func(text string) string { return strings.Repeat(text, n/len(text)) }))
			}
			once, twice := allocated(size(128<<10)), allocated(size(256<<10))
			if twice > 3*once+64<<10 {
				t.Errorf("%d bytes are allocated for a capture, and %d for one of twice the size", once, twice)
			}
		})
	}
}
