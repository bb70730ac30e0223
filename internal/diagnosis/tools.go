package diagnosis

import (
	"bytes"
	"regexp"
	"strconv"
)

// proxyLine matches a line of the PROXY protocol, or the signature of its binary form, before a
// request (haproxy's proxy-protocol.txt, sections 2.1 and 2.2).
var proxyLine = regexp.MustCompile(`PROXY (?:TCP4|TCP6|UNKNOWN)[^\n]*\n[^\n]*$|\nQUIT\n`)

// maxProxyLine is how far before the request line it may begin, with what tools print around it.
const maxProxyLine = 256

func unprefixed(src, prefix []byte) []byte {
	plain := make([]byte, 0, len(src))
	short := bytes.TrimRight(prefix, " ")
	for line := range bytes.Lines(src) {
		rest, ok := bytes.CutPrefix(line, prefix)
		if !ok && bytes.Equal(bytes.TrimRight(line, " \r\n"), short) {
			rest = line[len(short):]
		}
		plain = append(plain, rest...)
	}
	return plain
}

// ofCurl matches a line in which curl -v reports on itself.
var ofCurl = regexp.MustCompile(`^(?:\* |[{}] \[\d+ bytes data\]\r?(?:\n|$))`)

// cutAnswer cuts the output of curl -v before the answer, and drops curl's reports.
func cutAnswer(output []byte) (request, answer []byte) {
	into := &request
	for line := range bytes.Lines(output) {
		if into == &request && bytes.HasPrefix(line, []byte("< ")) {
			into = &answer
		}
		if !ofCurl.Match(line) {
			*into = append(*into, line...)
		}
	}
	return request, answer
}

// answered matches the beginning of the bridge's own answers.
var answered = regexp.MustCompile(`^\{"(?:title|id)":"[^"]*","status":`)

// lastBody returns the body at the end of curl's output, from the last line that begins with a
// brace; nil if that is the bridge's answer.
func lastBody(output []byte) []byte {
	at := bytes.LastIndex(output, []byte("\n{")) + 1
	if body := output[at:]; at > 0 && !answered.Match(body) {
		return body
	}
	return nil
}

// packetLine matches what tcpdump prints above each packet: source, destination and length of the
// payload.
var packetLine = regexp.MustCompile(`(?m)^(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d+ (?:[^\n]*? )?IP6? (\S+ > \S+): [^\n]*\blength (\d+)(?:: HTTP[^\n]*)?\r?$`)

// joinPackets returns the payload of the packets that tcpdump -A shows, from the request on and in
// its direction. tcpdump prints one character a byte, the packet's headers first, so the payload is
// at the end. Without packets it returns src.
func (d *Delivery) joinPackets(src []byte) []byte {
	if at := packetLine.FindIndex(src); at != nil && src[at[1]-1] == '\r' { // it came through a terminal
		src = bytes.ReplaceAll(src, []byte("\r\n"), []byte{'\n'})
	}
	first := requestLine.FindIndex(src)
	heads := packetLine.FindAllSubmatchIndex(src, -1)
	if first == nil || len(heads) == 0 || heads[0][0] > first[0] {
		return src
	}
	var joined []byte
	flow, packets, others := "", 0, false
	for i, p := range heads {
		end := len(src)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		_, text, _ := bytes.Cut(src[p[1]:end], []byte{'\n'})
		text, from := bytes.TrimSuffix(text, []byte{'\n'}), string(src[p[2]:p[3]])
		if flow == "" {
			if at := requestLine.FindIndex(text); at != nil {
				flow, joined, packets = from, append(joined, text[at[0]:]...), 1
			}
			continue
		}
		others = others || from != flow && requestLine.Match(text)
		if length, err := strconv.Atoi(string(src[p[4]:p[5]])); err == nil && from == flow && length > 0 {
			joined = append(joined, text[max(0, len(text)-length):]...)
			packets++
		}
	}
	if joined == nil { // tcpdump ran without -A
		return nil
	}
	d.ASCII = true
	d.note("read from %s of tcpdump -A, which prints a dot for each byte that isn't ASCII", count(packets, "packet"))
	if others {
		d.note("the capture holds more than one request; this is the first")
	}
	return joined
}
