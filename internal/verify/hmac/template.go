package hmac

import (
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// kind is the kind of a part.
type kind byte

const (
	literal kind = iota
	body
	timestamp
	header
	member // of the body
	mac
)

// part is one part of a template, or the place of a value: a header or a member.
type part struct {
	kind     kind
	text     string // a literal, a header's name in canonical case, a member's path, hex or base64
	path     int    // number of a member's path
	position int    // of its first character, from 1
}

// isHeader reports whether the part is that header.
func (p part) isHeader(name string) bool { return p.kind == header && p.text == name }

var pieces = regexp.MustCompile(`\{[^{}]*\}|[^{}]+|[{}]`)

// split splits a template into literals and placeholders, which are in braces.
func split(template string) (parts []part, err error) {
	for _, place := range pieces.FindAllStringIndex(template, -1) {
		text, position := template[place[0]:place[1]], place[0]+1
		p := part{text: text}
		switch {
		case text == "{" || text == "}":
			err = errors.New("a brace has no partner")
		case text[0] == '{':
			p, err = placeholder(text[1 : len(text)-1])
		}
		if err != nil {
			return nil, atCharacter(position, err)
		}
		p.position = position
		parts = append(parts, p)
	}
	return parts, nil
}

// placeholder reads the text between two braces.
func placeholder(name string) (p part, err error) {
	of, isHeader := strings.CutPrefix(name, "header:")
	switch {
	case isHeader:
		p.kind = header
		p.text, err = headerName(of)
	case name == "body":
		p.kind = body
	case name == "timestamp":
		p.kind = timestamp
	case name == "hex", name == "base64":
		p.kind, p.text = mac, name
	default:
		err = fmt.Errorf("{%s} is unknown", name)
	}
	return p, err
}

// parsePlace reads header:Name or body:path, and adds the path.
func parsePlace(text string, paths *verify.Paths) (part, error) {
	path, ok := strings.CutPrefix(text, "body:")
	switch {
	case strings.HasPrefix(text, "header:"):
		return placeholder(text)
	case !ok:
		return part{}, fmt.Errorf("%q is neither header:Name nor body:path", text)
	case slices.Contains(strings.Split(path, "."), ""):
		return part{}, errors.New("a name of the path is missing")
	}
	return part{kind: member, text: path, path: paths.Add(path, verify.Any)}, nil
}

// parsePlaces reads a list of places. The first that a delivery has counts.
func parsePlaces(list string, paths *verify.Paths) (all []part, err error) {
	if list == "" {
		return nil, nil
	}
	position := 1
	for text := range strings.SplitSeq(list, ",") {
		p, err := parsePlace(strings.TrimSpace(text), paths)
		if err != nil {
			return nil, atCharacter(position, err)
		}
		all = append(all, p)
		position += len(text) + 1
	}
	return all, nil
}

// atCharacter returns an error at a place in a setting, counted from 1.
func atCharacter(position int, what any) error {
	return fmt.Errorf("at character %d: %v", position, what)
}

// parse reads SIGNED. The text that it describes can be split in one way only:
//   - the body is there, whole and once. One JSON object is never the beginning or the end of
//     another one, so nothing can be moved between it and what stands next to it;
//   - two values have text between them, and a value that contains the text behind it is refused
//     when it comes (see ends), so nothing can be moved from one to the other. A time in RFC 3339
//     needs no text before it, because its year has four digits;
//   - if a header has no text behind it, no other header follows: a JSON object or a time in one of
//     them could take the place of the body or the time between them.
func (s *scheme) parse(template string) ([]part, error) {
	parts, err := split(template)
	if err != nil {
		return nil, err
	}
	seen := make(map[part]bool)
	before := part{kind: literal}
	unended := 0 // position behind a header without text behind it
	for i := range parts {
		p := &parts[i]
		if p.isHeader(s.time.text) {
			*p = part{kind: timestamp, position: p.position}
		}
		if before.kind == header && p.kind != literal {
			unended = p.position
		}
		is := part{kind: p.kind, text: p.text}
		switch {
		case p.kind == mac, s.isSignature(*p):
			return nil, atCharacter(p.position, "a signature doesn't sign itself")
		case p.kind != literal && seen[is]:
			return nil, atCharacter(p.position, "this is given twice")
		case p.kind == timestamp && before.kind == header && s.Unit == verify.DateTime:
		case p.kind == timestamp && before.kind == header:
			return nil, atCharacter(p.position, "text is needed before a time in "+string(s.Unit)+inTwoWays)
		case isValue(*p) && isValue(before):
			return nil, atCharacter(p.position, "text is needed before this"+inTwoWays)
		case p.kind == header && unended > 0:
			return nil, atCharacter(unended, "text is needed before this because {header:"+p.text+"} follows"+inTwoWays)
		}
		seen[is], before = true, *p
	}
	if !seen[part{kind: body}] {
		return nil, errors.New("{body} is missing: a body that isn't signed proves nothing")
	}
	return parts, nil
}

const inTwoWays = ", or the signed text could be split in two ways"

// isValue reports whether a part is a value from outside the body.
func isValue(p part) bool { return p.kind == timestamp || p.kind == header }

// reserved lists headers of the connection or of proxies, which may change or remove them, and
// headers with credentials, which quarantine would keep.
var reserved = []string{
	"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via", "Host", "Expect",
	"Content-Length", "Content-Encoding", "Forwarded", "X-Real-Ip", "Authorization", "Cookie", "Set-Cookie",
	"Www-Authenticate",
}

// token has the characters of a header's name (RFC 9110, section 5.6.2).
const token = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^`|~_"

// headerName returns a header's name in canonical case.
func headerName(name string) (string, error) {
	if rest := strings.TrimLeft(name, token); rest != "" {
		return "", fmt.Errorf("a header's name can't contain %q", rest[0])
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	switch {
	case name == "":
		return "", errors.New("a header's name is missing")
	case slices.Contains(reserved, name), strings.HasPrefix(name, "Proxy-"), strings.HasPrefix(name, "X-Forwarded-"):
		return "", fmt.Errorf("the header %s belongs to the connection, to proxies or to authentication", name)
	}
	return name, nil
}
