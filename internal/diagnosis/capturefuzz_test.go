package diagnosis

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// Reading any capture ends and keeps no more than it was given, and a delivery that was read is
// read again from the output of Append.
func FuzzParse(f *testing.F) {
	src, err := os.ReadFile(filepath.Join("testdata", "tcpdump.txt"))
	expect.NoError(f, err)
	f.Add(src)
	for _, src := range []string{
		"POST /webhooks/flock HTTP/1.1\r\nX-Flock-Signature: 0f\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n",
		"> POST / HTTP/2\n> A: b\n>\n* x\n{}\n< HTTP/2 200\n", "| PUT / HTTP/1.0\n| A: b\n|\n| {}", "|PUT / HTTP/1.0\n| {: b\n",
		"| POST / HTTP/1.1\n|\n| 19:21:02.7 IP a > b: length 5\r\n", "POST / HTTP/1.1\nA: POST / HTTP/1.1\n b\n{", "\ufeff {}", "POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\n", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
	} {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := Parse(src)
		if err != nil {
			return
		}
		held := len(d.Method) + len(d.Target) + len(d.Body)
		for _, h := range d.Header {
			held += len(h.Name) + len(h.Value)
		}
		if held > len(src) {
			t.Fatalf("%d bytes of %d", held, len(src))
		}
		if d.Method == "" {
			return
		}
		written := d.Append(nil)
		again, err := Parse(written)
		expect.NoErrorf(t, err, "%q", written)
		lengthless := func(d Delivery) Delivery {
			d.Notes = nil
			d.Header = slices.DeleteFunc(slices.Clone(d.Header), func(f Field) bool {
				return strings.EqualFold(f.Name, "Content-Length") || strings.EqualFold(f.Name, "Transfer-Encoding")
			})
			return Delivery{Method: d.Method, Target: d.Target, Proxy: d.Proxy, Header: append([]Field{}, d.Header...), Body: append([]byte{}, d.Body...)}
		}
		if diff := cmp.Diff(lengthless(d), lengthless(again)); diff != "" {
			t.Fatalf("%q is read as %+v, written as %q, and then (-first +again):\n%s", src, d, written, diff)
		}
		if notes := again.Notes; len(notes) > 0 {
			t.Fatalf("%q is read again with the notes %q, want none", written, notes)
		}
		_, _ = ParseHeader(src)
	})
}
