package diagnosis

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

const signed = "X-Flock-Signature: 0f0f"

var header = []Field{{"Host", "x"}, {"X-Flock-Signature", "0f0f"}}

// Each form of a captured request, and the delivery that is read from it.
func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, src string
		want      Delivery
	}{
		{
			"on the wire", "POST /webhooks/flock HTTP/1.1\r\nHost: x\r\n" + signed + "\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
			Delivery{Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: append(header, Field{"Content-Length", "7"}), Body: []byte(`{"a":1}`)},
		},
		{
			"pasted", "\n POST /webhooks/flock HTTP/2\nHost: x\n" + signed + "  \n\n{\"a\":1}\n",
			Delivery{Method: "POST", Target: "/webhooks/flock", Version: "2", Header: header, Body: []byte("{\"a\":1}\n")},
		},
		{
			"garbage before, something after", "E..7\x00\xff~.POST /webhooks/flock HTTP/1.1\r\nHost: x\r\n" + signed + "\r\nContent-Length: 7\r\n\r\n{\"a\":1}\nHTTP/1.1 401",
			Delivery{
				Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: append(header, Field{"Content-Length", "7"}), Body: []byte(`{"a":1}`),
				Notes: []string{"what follows the 7 bytes of Content-Length is ignored"},
			},
		},
		{
			"each line after something", "| POST /webhooks/flock HTTP/1.1\n| Host: x\n| " + signed + "\n|\n| {\n|   \"a\":1}\n",
			Delivery{Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: header, Body: []byte("{\n  \"a\":1}\n")},
		},
		{
			"curl -v with the body below", "*   Trying 127.0.0.1:80...\n> POST /webhooks/flock HTTP/1.1\n> Host: x\n> " + signed + "\n> \n* We are completely uploaded and fine\n{\"a\":1}\n} [7 bytes data]\n< HTTP/1.1 401 Unauthorized\n< \n{\"title\":\"x\",\"status\":401}\n",
			Delivery{Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: header, Body: []byte("{\"a\":1}\n")},
		},
		{
			"curl -v as it comes", "* x\n> POST /webhooks/flock HTTP/1.1\n> Host: x\n> " + signed + "\n> \n< HTTP/1.1 401 Unauthorized\n< \n{\"title\":\"x\",\"status\":401}\n",
			Delivery{Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: header, Body: []byte{}},
		},
		{
			"curl -v with the body at its end", "> POST /webhooks/flock HTTP/1.1\n> Host: x\n> " + signed + "\n> \n* upload completely sent off\n< HTTP/1.1 401 Unauthorized\n< Content-Length: 13\n< \n{\"title\":\"x\",\"status\":401}* Connection #0 to host x left intact\n{\"a\":1}\n",
			Delivery{Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: header, Body: []byte("{\"a\":1}\n")},
		},
		{
			"the same, written at once after the answer", "> POST /webhooks/flock HTTP/1.1\n> Host: x\n> " + signed + "\n> \n< HTTP/1.1 401 Unauthorized\n< \n* Connection #0 to host x left intact\n{\"title\":\"x\",\"status\":401,\"code\":\"signature\"}{\"id\":\"a\",\"status\":\"b\",\"c\":1}\n",
			Delivery{Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: header, Body: []byte("{\"id\":\"a\",\"status\":\"b\",\"c\":1}\n")},
		},
		{
			"the same, without the answer's body", "> POST /webhooks/flock HTTP/1.1\n> Host: x\n> " + signed + "\n> \n< HTTP/1.1 401 Unauthorized\n< Content-Length: 13\n< \n{ [13 bytes data]\n* Connection #0 to host x left intact\n{\"a\":1}\n",
			Delivery{Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: header, Body: []byte("{\"a\":1}\n")},
		},
		{
			"the same, with a proxy's answer in JSON", "> POST /webhooks/flock HTTP/1.1\n> Host: x\n> " + signed + "\n> \n< HTTP/1.1 502 Bad Gateway\n< \n{\n  \"error\": \"x\"\n}\n* Connection #0 to host x left intact\n{\"a\":1}\n",
			Delivery{Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: header, Body: []byte("{\"a\":1}\n")},
		},
		{
			"the same, redirected: the answer's body comes last", "> POST /webhooks/flock HTTP/1.1\n> Host: x\n> " + signed + "\n> \n} [7 bytes data]\n< HTTP/1.1 401 Unauthorized\n< Content-Length: 13\n< \n{ [13 bytes data]\n* Connection #0 to host x left intact\n{\"title\":\"x\",\"status\":401}\n{\"a\":1}\n",
			Delivery{Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: header, Body: []byte("{\"a\":1}\n")},
		},
		{
			"the same, with an answer of no length, after another", "> POST /webhooks/flock HTTP/1.1\n> Host: x\n> " + signed + "\n> \n< HTTP/1.1 100 Continue\n< \n} [7 bytes data]\n< HTTP/1.1 401 Unauthorized\n< \n{\"title\":\"x\",\"status\":401}\n* Connection #0 to host x left intact\n{\"a\":1}\n",
			Delivery{Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: header, Body: []byte("{\"a\":1}\n")},
		},
		{
			"chunks", "POST /webhooks/flock HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n0\r\n\r\n",
			Delivery{Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: []Field{{"Transfer-Encoding", "gzip, Chunked"}}, Body: []byte("0\r\n\r\n")},
		},
		{
			"chunks", "POST /webhooks/flock HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;ext=1\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n",
			Delivery{Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: []Field{{"Transfer-Encoding", "Chunked"}}, Body: []byte(`{"a":1}`)},
		},
		{
			"chunks that a proxy has joined", "POST /webhooks/flock HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{\"a\":1}",
			Delivery{
				Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: []Field{{"Transfer-Encoding", "chunked"}}, Body: []byte(`{"a":1}`),
				Notes: []string{"the body isn't in whole chunks: it is read as it stands"},
			},
		},
		{
			"chunks that break off", "POST /webhooks/flock HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\nff\r\n\":1}",
			Delivery{
				Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: []Field{{"Transfer-Encoding", "chunked"}}, Body: []byte("3\r\n{\"a\r\nff\r\n\":1}"),
				Notes: []string{"the body isn't in whole chunks: it is read as it stands"},
			},
		},
		{
			"cut", "POST /webhooks/flock HTTP/1.1\r\nContent-Length: 99\r\n\r\n{\"a\"",
			Delivery{
				Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: []Field{{"Content-Length", "99"}}, Body: []byte(`{"a"`),
				Notes: []string{"the body has 4 bytes here, and Content-Length is 99: the capture is incomplete, or has other line ends"},
			},
		},
		{
			"no length", "POST / HTTP/1.1\nContent-Length: -1\n\n{}",
			Delivery{Method: "POST", Target: "/", Version: "1.1", Header: []Field{{"Content-Length", "-1"}}, Body: []byte(`{}`)},
		},
		{
			"no empty line, a folded header, one that is none", "POST / HTTP/1.1\nA: b\n c\nnone\n{}",
			Delivery{
				Method: "POST", Target: "/", Version: "1.1", Header: []Field{{"A", "b c"}}, Body: []byte(`{}`),
				Notes: []string{"there is no empty line between the headers and the body", "a line among the headers is not a header, and is ignored"},
			},
		},
		{
			"two requests", "POST /a HTTP/1.1\nContent-Length: 2\n\n{}POST /b HTTP/1.1\n\n",
			Delivery{
				Method: "POST", Target: "/a", Version: "1.1", Header: []Field{{"Content-Length", "2"}}, Body: []byte(`{}`),
				Notes: []string{"what follows the 2 bytes of Content-Length is ignored", "the capture holds more than one request; this is the first"},
			},
		},
		{"a body alone", "\ufeff\n{\"a\": 1}\n", Delivery{Body: []byte("\ufeff\n{\"a\": 1}\n")}},
	} {
		got, err := Parse([]byte(test.src))
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, err, diff)
		}
	}
}

// The output of tcpdump -A for a real request, in three packets between those of another
// connection.
func TestPackets(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("testdata", "tcpdump.txt"))
	expect.NoError(t, err)
	want := Delivery{
		Method: "POST", Target: "/webhooks/flock", Version: "1.1", Header: []Field{{"Host", "x"}, {"Content-Length", "116"}},
		Body:  []byte(`{"a":"` + strings.Repeat("x", 100) + "\",\n\"b\":1}\n"),
		Notes: []string{"read from 3 packets of tcpdump -A, which prints a dot for each byte that isn't ASCII: if the body has such bytes, no signature can be right here"},
	}
	// A terminal, as of `kubectl debug -t`, makes CR LF of each LF.
	for _, output := range [][]byte{src, bytes.ReplaceAll(src, []byte("\n"), []byte("\r\n"))} {
		got, err := Parse(output)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}

// From two connections the first request is read, and a note mentions the other.
func TestTwoConnections(t *testing.T) {
	packet := func(from, text string) string {
		return fmt.Sprintf("19:21:02.716730 IP %s > 127.0.0.1.80: Flags [P.], seq 1:2, length %d\nE..7.@.@.%s\n", from, len(text), text)
	}
	got, err := Parse([]byte(packet("127.0.0.1.1", "POST /a HTTP/1.1\nA: b\n\n{") + packet("127.0.0.1.2", "POST /b HTTP/1.1\n\n{}") + packet("127.0.0.1.1", "}")))
	if err != nil || got.Target != "/a" || string(got.Body) != "{}" || len(got.Notes) != 2 || got.Notes[1] != "the capture holds more than one request; this is the first" {
		t.Errorf("got %+v, %v, want the first request and a note on the other", got, err)
	}
}

func TestNoDelivery(t *testing.T) {
	for _, src := range []string{
		"", "[]", "nothing", `10.0.0.1 - - [24/Nov/2026:19:21:02 +0000] "POST /webhooks/flock HTTP/1.1" 401 72 "-" "node"`,
		"19:21:02.716730 IP 127.0.0.1.1 > 127.0.0.1.2: Flags [P.], seq 1:207, length 206: HTTP: POST /webhooks/flock HTTP/1.1\n",
	} {
		if got, err := Parse([]byte(src)); !errors.Is(err, errNoDelivery) {
			t.Errorf("%q: got %+v, %v, want errNoDelivery", src, got, err)
		}
	}
}

func TestHeader(t *testing.T) {
	for src, want := range map[string][]Field{
		"Host: x\r\n" + signed + "\r\n\r\nrest": header,
		"\ufeffHost: x\n" + signed:              header,
		"POST / HTTP/1.1\nHost: x\n" + signed:   header,
	} {
		if got, err := ParseHeader([]byte(src)); err != nil || !cmp.Equal(got.Header, want) || got.Body != nil {
			t.Errorf("%q: got %+v, %v, want the two headers", src, got, err)
		}
	}
	if got, err := ParseHeader([]byte("0f0f\n")); !errors.Is(err, errNoHeader) {
		t.Errorf("got %+v, %v, want errNoHeader", got, err)
	}
}
