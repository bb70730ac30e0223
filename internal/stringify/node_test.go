//go:build node

// These tests ask Node what JSON.stringify(JSON.parse(x)) is. They need node, and fail without it:
//
//	go test -tags node ./internal/stringify
package stringify

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

var doubles = flag.Int("doubles", 200_000, "how many random doubles, and as many decimals, Node is asked for")

// node is a Node process that answers one text after the other.
type node struct {
	in  io.Writer
	out *bufio.Reader
}

// verdict is Node's result for a text.
type verdict byte

const (
	accepted   verdict = '='
	notUTF8    verdict = 'u'
	notJSON    verdict = 'p'
	notPrinted verdict = 's' // nested too deep for JSON.stringify
)

func startNode(tb testing.TB) *node {
	tb.Helper()
	cmd := exec.Command("node", "testdata/stringify.js")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	expect.NoError(tb, err)
	out, err := cmd.StdoutPipe()
	expect.NoError(tb, err)
	expect.NoErrorf(tb, cmd.Start(), "these tests need Node")
	tb.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("node: %v", err)
		}
	})
	return &node{in: in, out: bufio.NewReader(out)}
}

// stringify returns Node's JSON.stringify(JSON.parse(src)), or the error's text.
func (n *node) stringify(tb testing.TB, src []byte) (verdict, []byte) {
	tb.Helper()
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(src))), src...)
	expect.NoErrorf(tb, expect.Err(n.in.Write(frame)), "writing to node")
	var header [5]byte
	expect.NoErrorf(tb, expect.Err(io.ReadFull(n.out, header[:])), "reading from node")
	answer := make([]byte, binary.BigEndian.Uint32(header[1:]))
	expect.NoErrorf(tb, expect.Err(io.ReadFull(n.out, answer)), "reading from node")
	return verdict(header[0]), answer
}

// compare compares Parse with Node. What Parse accepts, Node accepts with the same bytes. What Node
// refuses, Parse refuses for the same reason. What Parse alone refuses has a duplicate or is too
// deep.
func (n *node) compare(t *testing.T, src []byte) {
	t.Helper()
	got, err := Parse(src)
	how, want := n.stringify(t, src)
	wrong := true
	switch {
	case err == nil:
		wrong = how != accepted || !bytes.Equal(got, want) || levels(src) > MaxDepth
	case errors.Is(err, ErrUTF8):
		wrong = how != notUTF8
	case errors.Is(err, ErrSyntax):
		wrong = how != notJSON
	case errors.Is(err, ErrDuplicate): // what comes after it may be wrong, too
		_, unique := judge(src)
		wrong = how == notUTF8 || how == accepted && unique
	case errors.Is(err, ErrDepth):
		wrong = how == notUTF8 || levels(src) <= MaxDepth
	}
	if wrong {
		t.Errorf("Parse(%q)\n = %q, %v; Node says %c\n   %q", src, got, err, how, want)
	}
}

func FuzzAgainstNode(f *testing.F) {
	n := startNode(f)
	addSeeds(f)
	addCorpus(f, "FuzzParse")
	f.Fuzz(n.compare)
}

// addCorpus adds what another fuzz test has in testdata.
func addCorpus(f *testing.F, of string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "fuzz", of, "*"))
	if err != nil || len(files) == 0 {
		f.Fatalf("testdata has no corpus of %s: %v", of, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		expect.NoError(f, err)
		quoted := strings.TrimSuffix(strings.TrimPrefix(string(text), "go test fuzz v1\n[]byte("), ")\n")
		src, err := strconv.Unquote(quoted)
		expect.NoErrorf(f, err, "%s isn't one []byte", file)
		f.Add([]byte(src))
	}
}

func TestRandomDocumentsAgainstNode(t *testing.T) {
	n, r := startNode(t), newRandom(t)
	for range *documents {
		n.compare(t, document(r))
	}
}

func TestInputsAgainstNode(t *testing.T) {
	n := startNode(t)
	for _, in := range append(usual(t), worst(16<<10)...) {
		t.Run(in.name, func(t *testing.T) { n.compare(t, in.text) })
	}
}

func TestNumbersAgainstNode(t *testing.T) {
	n := startNode(t)
	for _, number := range numbers {
		if how, got := n.stringify(t, []byte(number.in)); how != accepted || string(got) != number.want {
			t.Errorf("JSON.stringify(%s) = %s; want %s", shortened(number.in), got, number.want)
		}
	}
	var literals []string
	for exp := -340; exp <= 320; exp++ {
		for _, digits := range []string{"1", "9", "1.5", "9.999999999999999", "99999999999999995"} {
			literals = append(literals, digits+"e"+strconv.Itoa(exp))
		}
	}
	for exp := -1080; exp <= 1024; exp++ { // powers of two, their neighbours, and what lies halfway
		f := math.Ldexp(1, exp)
		for _, f := range []float64{math.Nextafter(f, 0), f, math.Nextafter(f, math.Inf(1))} {
			if f < math.MaxFloat64 {
				literals = append(literals, strconv.FormatFloat(f, 'e', -1, 64), halfway(f, 0), halfway(f, 20))
			}
		}
	}
	for i := range uint64(1000) {
		literals = append(literals, strconv.FormatUint(1<<53-500+i, 10), strconv.FormatUint(1<<63-500_000+1000*i, 10))
	}
	n.numbers(t, literals)
}

// Doubles of every size and everyday numbers, in several spellings, and decimals of up to 30
// digits.
func TestRandomNumbersAgainstNode(t *testing.T) {
	n, r := startNode(t), newRandom(t)
	const batch = 10_000
	literals := make([]string, 0, 2*batch)
	for done := 0; done < *doubles; done += batch {
		literals = literals[:0]
		for range min(batch, *doubles-done) {
			literals = append(literals, randomDouble(r), randomDecimal(r))
		}
		n.numbers(t, literals)
	}
	literals = literals[:0]
	for range min(*doubles, batch) {
		literals = append(literals, numberLiteral(r))
	}
	n.numbers(t, literals)
}

func randomDouble(r *rand.Rand) string {
	f := math.Float64frombits(r.Uint64())
	if r.IntN(2) == 0 { // 10⁻⁸ to 10²³
		f = math.Float64frombits(r.Uint64()&^(0x7ff<<52) | (1023-27+r.Uint64N(103))<<52)
	}
	if math.IsInf(f, 0) || math.IsNaN(f) {
		f = 0
	}
	switch r.IntN(4) {
	case 0:
		return strconv.FormatFloat(f, 'e', 16, 64)
	case 1:
		return strconv.FormatFloat(f, 'e', 17+r.IntN(10), 64)
	case 2:
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return strconv.FormatFloat(f, 'e', -1, 64)
}

func randomDecimal(r *rand.Rand) string {
	digits := fmt.Sprintf("%d%019d", uint64(1e10)+r.Uint64N(9e10), r.Uint64N(1e19))[:1+r.IntN(30)]
	if point := 1 + r.IntN(30); point < len(digits) {
		digits = digits[:point] + "." + digits[point:]
	}
	switch r.IntN(3) {
	case 0:
		return "-" + digits + "e" + strconv.Itoa(r.IntN(660)-345)
	case 1:
		return digits + "E" + strconv.Itoa(r.IntN(60)-30)
	}
	return digits
}

// numbers compares many numbers at once.
func (n *node) numbers(t *testing.T, literals []string) {
	t.Helper()
	src := []byte("[")
	for i, literal := range literals {
		if i > 0 {
			src = append(src, ',')
		}
		src = append(src, literal...)
	}
	src = append(src, ']')
	got, err := Parse(src)
	how, want := n.stringify(t, src)
	if err == nil && how == accepted && bytes.Equal(got, want) {
		return
	}
	for _, literal := range literals { // which one is it?
		n.compare(t, []byte(literal))
	}
	if !t.Failed() {
		t.Errorf("numbers differ together, %v, but not alone", err)
	}
}
