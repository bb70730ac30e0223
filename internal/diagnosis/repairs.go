package diagnosis

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

const unescapedAtLog = "nothing is wrong with the delivery itself: the log escapes what it shows. To see all of it, give the body as it was sent"

// repair undoes a change that a body may have suffered on the way.
type repair struct {
	cause Cause
	undo  func(raw []byte) []byte // returns nil if it can't be undone
}

var repairs = []repair{
	{
		proven("byte_order_mark", "the signature is right for the body without the byte order mark before it", "find what puts U+FEFF before the body, a proxy or an editor; the vendor doesn't sign it, and JSON doesn't allow it"),
		func(raw []byte) []byte { return bytes.TrimPrefix(raw, byteOrderMark) },
	},
	{
		proven("line_end", "the signature is right for the body without the white space around it", "nothing is wrong with the delivery if only the capture has it, as a file's last line break; else find what adds it on the way"),
		bytes.TrimSpace,
	},
	{
		proven("escaped", "the signature is right for the body once its \\x escapes are undone, as nginx writes them into its log", unescapedAtLog),
		unescapeLog,
	},
	{
		proven("quoted", "the signature is right for the body that stands here as the text of a JSON string", "if a log shows it so, "+unescapedAtLog+"; else a proxy passes JSON on inside a string: have it pass on the bytes"),
		unquote,
	},
	{
		proven("form", "the signature is right for the body once it is decoded as a form", "something on the way turns JSON into a form: have it pass on the bytes"),
		unescapeForm,
	},
	{
		proven("trailing", "the signature is right for the body without what follows the JSON object", "find what adds to the body: a proxy, a shell, or how it was captured"),
		firstValue,
	},
	{
		proven("latin1", "the signature is right for the body in UTF-8, and here it is in Latin-1", "something on the way, or the capture, converts the text: have it pass on the bytes"),
		func(raw []byte) []byte {
			var text []byte
			for _, c := range raw {
				text = utf8.AppendRune(text, rune(c))
			}
			return text
		},
	},
	{
		proven("twice_utf8", "the signature is right for the body once its text is decoded from UTF-8: it was encoded twice", "something on the way, or the capture, takes UTF-8 for Latin-1: have it pass on the bytes"),
		decodedOnce,
	},
	{
		proven("sorted", "the signature is right for the body with its members in the order that the vendor documents", "something on the way parses the body and writes it anew in another order: have it pass on the bytes"),
		documentedOrder,
	},
}

var hexEscape = regexp.MustCompile(`\\x[0-9A-Fa-f]{2}`)

func unescapeLog(raw []byte) []byte {
	return hexEscape.ReplaceAllFunc(raw, func(escape []byte) []byte {
		n, _ := strconv.ParseUint(string(escape[2:]), 16, 8) // by its shape
		return []byte{byte(n)}
	})
}

func unquote(raw []byte) []byte {
	trimmed := bytes.TrimSpace(raw)
	if !bytes.HasPrefix(trimmed, []byte{'"'}) {
		trimmed = slices.Concat([]byte{'"'}, trimmed, []byte{'"'})
	}
	var text string
	if json.Unmarshal(trimmed, &text) != nil {
		return nil
	}
	return []byte(text)
}

func unescapeForm(raw []byte) []byte {
	text := string(raw)
	if begin := strings.Index(text, "%7B"); begin >= 0 {
		text = text[begin:]
	}
	plain, err := url.QueryUnescape(text)
	if err != nil {
		return nil
	}
	return []byte(plain)
}

func firstValue(raw []byte) []byte {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	var first json.RawMessage
	if decoder.Decode(&first) != nil {
		return nil
	}
	return first
}

func decodedOnce(raw []byte) []byte {
	once := make([]byte, 0, len(raw))
	for _, r := range string(raw) {
		if r > 0xff {
			return nil
		}
		once = append(once, byte(r))
	}
	if !utf8.Valid(once) {
		return nil
	}
	return once
}

// documentedOrder puts the members into the order of the vendor's page.
func documentedOrder(raw []byte) []byte {
	p := providers.ByName(shapeOf(raw))
	if p == nil || p.Members == nil {
		return nil
	}
	text, err := stringify.Parse(raw)
	if err != nil {
		return nil
	}
	list := members(text)
	rank := func(m verify.Member) uint { return uint(slices.Index(p.Members, m.Name)) } // -1 becomes the last
	slices.SortStableFunc(list, func(a, b verify.Member) int { return cmp.Compare(rank(a), rank(b)) })
	return list.Text()
}
