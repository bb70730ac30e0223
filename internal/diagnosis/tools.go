package diagnosis

import (
	"bytes"
	"regexp"
	"strconv"

	"github.com/ade15e70/webhook-bridge/config"
)

// proxyLine matches a line of the PROXY protocol, or the signature of its binary form, before a
// request (haproxy's proxy-protocol.txt, sections 2.1 and 2.2).
var proxyLine = regexp.MustCompile(`PROXY (?:TCP4|TCP6|UNKNOWN)[^\n]*\n[^\n]*$|\nQUIT\n`)

// trimPrefixes returns src without the prefix of each line.
func trimPrefixes(src, prefix []byte) []byte {
	plain := make([]byte, 0, len(src))
	short := bytes.TrimRight(prefix, " ") // of an empty line
	for line := range bytes.Lines(src) {
		if rest, ok := bytes.CutPrefix(line, short); ok {
			line = bytes.TrimPrefix(rest, prefix[len(short):])
		}
		plain = append(plain, line...)
	}
	return plain
}

// curlLine matches a line that curl -v prints about its own work.
var curlLine = regexp.MustCompile(`^(?:\* |[{}] \[\d+ bytes data\]\r?(?:\n|$))`)

// answerLine matches an answer of the bridge. It has no line break, so a body that is appended to curl's
// output follows on the same line.
var answerLine = regexp.MustCompile(`^\{(?:"id":"[^"]*","status":"[a-z]+"|"title":"[^"]*","status":\d+(?:,"code":"[^"]*")?)\}\r?\n?`)

// cutAnswer drops the answer and curl's own lines from the output of curl -v. The body may stand below
// the answer: from the last line on that begins with a brace, because a proxy's answer may be JSON, too.
func cutAnswer(output []byte) (request []byte) {
	inAnswer, above := false, -1 // above is the length of what stands above the answer
	for line := range bytes.Lines(output) {
		line = line[len(answerLine.Find(line)):]
		switch {
		case len(line) == 0, curlLine.Match(line):
			continue
		case bytes.HasPrefix(line, []byte("< ")):
			inAnswer, above = true, len(request)
		case above >= 0 && line[0] == '{':
			inAnswer, request = false, request[:above]
		}
		if !inAnswer {
			request = append(request, line...)
		}
	}
	return request
}

// packetLine matches the line above each of tcpdump's packets: source, destination, payload length.
var packetLine = regexp.MustCompile(`(?m)^(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d+ ` +
	`(?:[^\n]*? )?IP6? (\S+ > \S+): [^\n]*\blength (\d+)(?:: HTTP[^\n]*)?\r?$`)

// joinPackets returns the payload of the packets that tcpdump -A shows: of those from the request's
// sender, from the request on. tcpdump prints one character for each byte, first the packet's headers,
// so the payload is at the end. If src has no packets, joinPackets returns src.
func (d *Delivery) joinPackets(src []byte) []byte {
	first, at := requestLine.FindIndex(src), packetLine.FindIndex(src)
	if first == nil || at == nil || at[0] > first[0] {
		return src
	}
	if src[at[1]-1] == '\r' { // it came through a terminal
		src = bytes.ReplaceAll(src, []byte("\r\n"), []byte{'\n'})
	}
	heads := packetLine.FindAllSubmatchIndex(src, -1)
	var joined []byte
	flow, packets := "", 0
	heads = append(heads, []int{len(src)})
	for i, p := range heads[:len(heads)-1] {
		_, text, _ := bytes.Cut(src[p[1]:heads[i+1][0]], []byte{'\n'})
		text, from := bytes.TrimSuffix(text, []byte{'\n'}), string(src[p[2]:p[3]])
		if flow == "" {
			if at := requestLine.FindIndex(text); at != nil {
				flow, joined, packets = from, append(joined, text[at[0]:]...), 1
			}
			continue
		}
		if length, err := strconv.Atoi(string(src[p[4]:p[5]])); err == nil && from == flow && length > 0 {
			joined = append(joined, text[max(0, len(text)-length):]...)
			packets++
		}
	}
	if joined == nil { // the packets have no text: tcpdump ran without -A
		return nil
	}
	d.note("read from %s of tcpdump -A, which prints a dot for each byte that isn't ASCII: "+
		"if the body has such bytes, no signature can be right here", config.Count(packets, "packet"))
	if len(requestLine.FindAllIndex(src, 2)) > 1 {
		d.note("the capture holds more than one request; this is the first")
	}
	return joined
}
