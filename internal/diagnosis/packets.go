package diagnosis

import (
	"bytes"
	"regexp"
	"strconv"
)

// packetLine is what tcpdump prints over each packet: from where to where, and how many bytes of payload it has.
var packetLine = regexp.MustCompile(`(?m)^(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d+ (?:[^\n]*? )?IP6? (\S+ > \S+): [^\n]*\blength (\d+)(?:: HTTP[^\n]*)?\r?$`)

// joinPackets returns the payload of tcpdump -A's packets from the request on, of that connection and that
// direction. tcpdump prints the packet's own headers before the payload, in one character a byte, so the payload is
// the last bytes of what it prints. Without packets src is returned.
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
		text, from := bytes.TrimSuffix(after(src[p[1]:end]), []byte{'\n'}), string(src[p[2]:p[3]])
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
	if joined == nil { // only in a line over a packet, whose bytes are not shown
		return nil
	}
	d.ASCII = true
	d.note("read from tcpdump -A, packets: %d; it prints a dot for each byte that isn't ASCII", count)
	if others {
		d.note("there is more than one request in it; this is the first")
	}
	return joined
}
