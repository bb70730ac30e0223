package diagnosis

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// allocated returns how many bytes the work allocates.
func allocated(work func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Reading takes time in proportion to the capture, whatever it contains. The test measures allocated
// bytes, which would show repeated copying even on a busy machine.
func TestLinear(t *testing.T) {
	const head = "POST /webhooks/a HTTP/1.1\nHost: a\n"
	for name, of := range map[string]func(repeat func(string) string) string{
		"continuation lines":    func(repeat func(string) string) string { return head + repeat(" x\n") + "\n{}" },
		"headers":               func(repeat func(string) string) string { return head + repeat("a: b\n") + "\n{}" },
		"both":                  func(repeat func(string) string) string { return head + repeat("a: b\n c\n") + "\n{}" },
		"lines without a colon": func(repeat func(string) string) string { return head + repeat("(\n") + "\n{}" },
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
			read := func(n int) uint64 {
				src := size(n)
				parse := func() { _, _ = Parse(src) }
				return min(allocated(parse), allocated(parse), allocated(parse)) // a collection may empty the pools of regexp
			}
			once, twice := read(128<<10), read(256<<10)
			if twice > 3*once+64<<10 {
				t.Errorf("%d bytes are allocated for a capture, and %d for one of twice the size", once, twice)
			}
		})
	}
}

// However many headers of a capture may be signatures or times, the search takes no more memory.
func TestManyHeaders(t *testing.T) {
	const body = `{"name":"a.b","entity":"a","entityId":"1","data":{"a":{"id":"1"}},"timestamp":1767323045}`
	for _, path := range []string{"/webhooks/flock", "/webhooks/stripe"} {
		for _, header := range []Field{{"X-Timestamp", "1"}, {"X-Signature", strings.Repeat("0f", 32)}, {"X-Flock-Signature", strings.Repeat("0f", 32)}} {
			diagnose := func(n int) uint64 {
				d := Delivery{Method: "POST", Target: path, Body: []byte(body), Header: []Field{{"X-Flock-Signature", strings.Repeat("00", 32)}, {"Stripe-Signature", "t=1,v1=" + strings.Repeat("00", 32)}}}
				d.Header = append(d.Header, slices.Repeat([]Field{header}, n)...)
				return allocated(func() {
					_, _ = Diagnose(Case{Delivery: d, Endpoints: endpoints(), Now: time.Unix(1767323045, 0), MaxBodyBytes: 1 << 20})
				})
			}
			if few, many := diagnose(10), diagnose(1000); many > 20*few { // keeping a hundred times the headers costs ten times as much, searching them a hundred
				t.Errorf("%s: %d bytes are allocated for 10 headers %s, and %d for 1000", path, few, header.Name, many)
			}
		}
	}
}
