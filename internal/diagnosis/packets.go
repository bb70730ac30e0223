package diagnosis

import (
	"bytes"
	"regexp"
	"strconv"
)

// packetLine matches what tcpdump prints over each packet: source, destination and length of the
// payload.
var packetLine = regexp.MustCompile(`(?m)^(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d+ (?:[^\n]*? )?IP6? (\S+ > \S+): [^\n]*\blength (\d+)(?:: HTTP[^\n]*)?\r?$`)

// joinPackets returns the payload of tcpdump -A's packets from the request on, in that direction of
// the connection. tcpdump prints one character a byte, the packet's headers first, so the payload
// is at the end. Without packets it returns src.
func (d *Delivery) joinPackets(src []byte) []byte {
	first := requestLine.FindIndex(src)
	packets := packetLine.FindAllSubmatchIndex(src, -1)
	if first == nil || len(packets) == 0 || packets[0][0] > first[0] {
		return src
	}
	var joined []byte
	flow, count, others := "", 0, false
	for i, p := range packets {
		end := len(src)
		if i+1 < len(packets) {
			end = packets[i+1][0]
		}
		_, text, _ := bytes.Cut(src[p[1]:end], []byte{'\n'})
		text, from := bytes.TrimSuffix(text, []byte{'\n'}), string(src[p[2]:p[3]])
		if flow == "" {
			if at := requestLine.FindIndex(text); at != nil {
				flow, joined, count = from, append(joined, text[at[0]:]...), 1
			}
			continue
		}
		others = others || from != flow && requestLine.Match(text)
		if length, err := strconv.Atoi(string(src[p[4]:p[5]])); err == nil && from == flow && length > 0 {
			joined = append(joined, text[max(0, len(text)-length):]...)
			count++
		}
	}
	if joined == nil { // the packets' bytes are not shown
		return nil
	}
	d.ASCII = true
	d.note("read from tcpdump -A, packets: %d; it prints a dot for each byte that isn't ASCII", count)
	if others {
		d.note("there is more than one request in it; this is the first")
	}
	return joined
}
