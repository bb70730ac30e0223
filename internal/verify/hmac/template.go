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
	literal   kind = 'l'
	body      kind = 'b'
	timestamp kind = 't'
	header    kind = 'h'
	member    kind = 'm' // of the body
	mac       kind = 's'
)

// part is one part of a template, or the place of a value: a header or a member.
type part struct {
	kind     kind
	text     string // a literal, a header's name in canonical case, a member's path, hex or base64; else its name in messages
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
		p := part{kind: literal, text: text}
		switch {
		case text == "{" || text == "}":
			err = errors.New("a brace is not closed, or not opened")
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
		p.kind, p.text = body, "the body"
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
		return part{}, errors.New("a name in the path is missing")
	}
	return part{kind: member, text: path, path: paths.Add(path, verify.Any)}, nil
}

// parsePlaces reads a list of places; the first one that a delivery has will count.
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

// atCharacter adds the place in a setting to an error, counted from 1.
func atCharacter(position int, err error) error {
	return fmt.Errorf("at character %d: %w", position, err)
}

// reserved lists headers of the connection or of proxies, which may change or remove them, and
// headers with credentials, which quarantine would keep.
var reserved = []string{
	"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via", "Host", "Expect",
	"Content-Length", "Content-Encoding", "Forwarded", "X-Real-Ip", "Authorization", "Cookie", "Set-Cookie",
	"Www-Authenticate",
}

// token has the characters of a header's name (RFC 9110, section 5.6.2).
const token = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^`|~_"

// headerName returns a header's name in canonical case, or an error if it can't be used.
func headerName(name string) (string, error) {
	if rest := strings.TrimLeft(name, token); rest != "" {
		return "", fmt.Errorf("a header's name can't contain %q", []rune(rest)[0])
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

// listed matches a member of a list, such as v1={hex}.
var listed = regexp.MustCompile(`^\s*[^={}, ;]+=\{[^{}]*\}\s*$`)

// parseFormat parses SIGNATURE_FORMAT. There are two kinds:
//   - a list of name={…} with commas or semicolons between them, such as t={timestamp},v1={hex}.
//     In a header the members may be in any order, the signature may occur several times, and
//     unknown members are ignored;
//   - other text around a signature, such as v1,{base64}. A header may have several with blanks
//     between them, unless the text itself has blanks.
func parseFormat(template string) (f verify.Format, err error) {
	parts, err := split(template)
	if err != nil {
		return f, err
	}
	times := 0
	for _, p := range parts {
		switch p.kind {
		case literal:
		case mac:
			f.Encodings = append(f.Encodings, verify.Encoding(p.text))
		case timestamp:
			times++
		default:
			return verify.Format{}, atCharacter(p.position, errors.New("only {hex}, {base64} and {timestamp} are allowed here"))
		}
	}
	f.Separator = ","
	if strings.Contains(template, ";") {
		f.Separator = ";"
	}
	items := strings.Split(template, f.Separator)
	isList := !slices.ContainsFunc(items, func(item string) bool { return !listed.MatchString(item) })
	switch {
	case len(f.Encodings) != 1:
		return verify.Format{}, errors.New("it needs {hex} or {base64}, once")
	case times > 1:
		return verify.Format{}, errors.New("{timestamp} is given twice")
	case times == 1 && !isList:
		return verify.Format{}, errors.New("a time needs a list, such as t={timestamp},v1={hex}")
	case isList:
	case strings.Contains(template, " "):
		f.Separator, items = "", []string{template}
	default:
		f.Separator, items = " ", []string{template}
	}
	for _, item := range items {
		before, rest, _ := strings.Cut(strings.TrimSpace(item), "{")
		if name, after, _ := strings.Cut(rest, "}"); name == "timestamp" {
			f.TimePrefix = before
		} else {
			f.Prefix, f.Suffix = before, after
		}
	}
	return f, nil
}
