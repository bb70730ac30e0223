package diagnosis

import (
	"cmp"
	"encoding/json"
	"iter"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// reading is another way to read a text, which may have been changed after it was sent or set.
type reading struct {
	code, says, do string
	read           func(text string) []string // "": none
}

// one is for a reading that gives one text.
func one(read func(text string) string) func(string) []string {
	return func(text string) []string { return []string{read(text)} }
}

// maxTexts bounds what a reading may give; with more it is ignored.
const maxTexts = 16

// otherTexts yields what a text can be read as, each with its cause.
func otherTexts(readings []reading, text string) iter.Seq2[string, Cause] {
	return func(yield func(string, Cause) bool) {
		for _, r := range readings {
			texts := r.read(text)
			if len(texts) > maxTexts {
				continue
			}
			for _, other := range texts {
				if other != "" && other != text && !yield(other, proven(r.code, r.says, r.do)) {
					return
				}
			}
		}
	}
}

const unescapedAtLog = "nothing is wrong with the delivery itself: the log escapes what it shows. To see all of it, give the body as it was sent"

// bodyReadings undo changes that may have been made to a body on the way.
var bodyReadings = []reading{
	{"byte_order_mark", "without the byte order mark before it", "find what puts U+FEFF before the body, a proxy or an editor; the vendor doesn't sign it, and JSON doesn't allow it", one(func(s string) string { return strings.TrimPrefix(s, string(byteOrderMark)) })},
	{"line_end", "without the white space around it", "nothing is wrong with the delivery if only the capture has it, as a file's last line break; else find what adds it on the way", one(strings.TrimSpace)},
	{"escaped", `once its \x escapes are undone, as nginx writes them into its log`, unescapedAtLog, one(unescapeLog)},
	{"quoted", "taken out of the JSON string around it", "if a log shows it so, " + unescapedAtLog + "; else a proxy passes JSON on inside a string: have it pass the body on unchanged", one(unquote)},
	{"form", "once it is decoded as a form", "something on the way turns JSON into a form: have it pass the body on unchanged", one(unescapeForm)},
	{"trailing", "without what follows the JSON object", "find what adds to the body: a proxy, a shell, or how it was captured", one(firstValue)},
	{"latin1", "in UTF-8, and here it is in Latin-1", "something on the way, or the capture, converts the text: have it pass the body on unchanged", one(encodedOnceMore)},
	{"twice_utf8", "once its text is decoded from UTF-8: it was encoded twice", "something on the way, or the capture, takes UTF-8 for Latin-1: have it pass the body on unchanged", one(decodedOnce)},
	{"sorted", "with its members in the order that the vendor documents", "something on the way parses the body and writes it anew in another order: have it pass the body on unchanged", one(documentedOrder)},
}

var hexEscape = regexp.MustCompile(`\\x[0-9A-Fa-f]{2}`)

func unescapeLog(raw string) string {
	return hexEscape.ReplaceAllStringFunc(raw, func(escape string) string {
		n, _ := strconv.ParseUint(escape[2:], 16, 8) // by its shape
		return string([]byte{byte(n)})
	})
}

func unquote(raw string) (text string) {
	raw = strings.TrimSpace(raw)
	if !strings.HasPrefix(raw, `"`) {
		raw = `"` + raw + `"`
	}
	if json.Unmarshal([]byte(raw), &text) != nil {
		return ""
	}
	return text
}

func unescapeForm(raw string) string {
	plain, _ := url.QueryUnescape(raw[max(0, strings.Index(raw, "%7B")):]) // "" if there is an error
	return plain
}

func firstValue(raw string) string {
	var first json.RawMessage
	if json.NewDecoder(strings.NewReader(raw)).Decode(&first) != nil {
		return ""
	}
	return string(first)
}

// encodedOnceMore encodes Latin-1 in UTF-8, or UTF-8 a second time.
func encodedOnceMore(raw string) string {
	var text []byte
	for i := range len(raw) {
		text = utf8.AppendRune(text, rune(raw[i]))
	}
	return string(text)
}

func decodedOnce(raw string) string {
	once := make([]byte, 0, len(raw))
	for _, r := range raw {
		if r > 0xff {
			return ""
		}
		once = append(once, byte(r))
	}
	return string(once) // if it isn't UTF-8, parsing it fails
}

// documentedOrder puts the members into the order in which the vendor documents them.
func documentedOrder(raw string) string {
	p := providers.ByName(shapeOf([]byte(raw)))
	if p == nil || p.Members == nil {
		return ""
	}
	list := members([]byte(raw))
	rank := func(m verify.Member) uint { return uint(slices.Index(p.Members, m.Name)) } // unknown: -1, which becomes the largest
	slices.SortStableFunc(list, func(a, b verify.Member) int { return cmp.Compare(rank(a), rank(b)) })
	return string(list.Text())
}
