package hmac

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"
)

// kind is the kind of a part of a template.
type kind byte

const (
	literal kind = iota
	body
	timestamp
	header
	mac
)

// part is one part of a template.
type part struct {
	kind     kind
	text     string // a literal, a header's name in canonical case, hex or base64
	position int    // of its first character, from 1
}

// maxTemplate bounds a template's length, because it costs time for every delivery.
const maxTemplate = 256

// split splits a template into literals and parts in braces.
func split(template string) (parts []part, err error) {
	if len(template) > maxTemplate {
		return nil, fmt.Errorf("it is longer than %d characters", maxTemplate)
	}
	for at := 0; at < len(template); {
		rest := template[at:]
		brace := strings.IndexAny(rest, "{}")
		if brace != 0 {
			if brace < 0 {
				brace = len(rest)
			}
			parts = append(parts, part{literal, rest[:brace], at + 1})
			at += brace
			continue
		}
		end := strings.IndexAny(rest[1:], "{}") + 1
		if rest[0] == '}' || end == 0 || rest[end] == '{' {
			return nil, at1(at+1, "a brace without its other one")
		}
		p, err := placeholder(rest[1:end], at+1)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
		at += end + 1
	}
	return parts, nil
}

// placeholder reads what stands between two braces.
func placeholder(name string, position int) (part, error) {
	switch name {
	case "body":
		return part{body, "", position}, nil
	case "timestamp":
		return part{timestamp, "", position}, nil
	case "hex", "base64":
		return part{mac, name, position}, nil
	}
	if of, ok := strings.CutPrefix(name, "header:"); ok {
		of, err := headerName(of)
		if err != nil {
			return part{}, at1(position, err.Error())
		}
		return part{header, of, position}, nil
	}
	return part{}, at1(position, fmt.Sprintf("{%s} is nothing that is known", name))
}

// at1 is an error at a place in a setting, counted from 1.
func at1(position int, what string) error { return fmt.Errorf("at character %d: %s", position, what) }

// signedParts reads SIGNED. The text that it describes can be taken apart in one way only:
//   - the body is there, whole and once. One JSON object can't be the beginning or the end of another
//     one, so nothing can be moved between it and what stands next to it;
//   - between two other parts stands text, and a value that holds the text behind it is refused when
//     it comes (see scheme.ends), so nothing can be moved from one to the other. A time in RFC 3339
//     needs no text before it: where its four digits of a year begin is plain.
func signedParts(template string) ([]part, error) {
	parts, err := split(template)
	if err != nil {
		return nil, err
	}
	seen := make(map[part]bool)
	for i, p := range parts {
		of := part{kind: p.kind, text: p.text}
		switch {
		case p.kind == literal:
			continue
		case p.kind == mac:
			return nil, at1(p.position, "a signature doesn't sign itself")
		case seen[of]:
			return nil, at1(p.position, "this is there already")
		case i > 0 && p.kind == timestamp && parts[i-1].kind == header: // see compiler.readTime
		case i > 0 && p.kind != body && parts[i-1].kind != body && parts[i-1].kind != literal:
			return nil, at1(p.position, "text is needed before this, or the signed text could be split in two ways")
		}
		seen[of] = true
	}
	if !seen[part{kind: body}] {
		return nil, errors.New("{body} is missing: a body that isn't signed proves nothing")
	}
	return parts, nil
}

// reserved lists headers of the connection or of proxies, which may change or remove them, and
// headers with credentials, which quarantine would keep.
var reserved = []string{
	"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via", "Host", "Expect",
	"Content-Length", "Content-Encoding", "Forwarded", "X-Real-Ip", "Authorization", "Cookie", "Set-Cookie",
	"Www-Authenticate",
}

// headerName returns a header's name in canonical case.
func headerName(name string) (string, error) {
	for i := range len(name) {
		// RFC 9110, section 5.6.2.
		if c := name[i]; !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^`|~_", c) < 0 {
			return "", fmt.Errorf("%q can't stand in the name of a header", c)
		}
	}
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	if canonical == "" {
		return "", errors.New("a header's name is missing")
	}
	isReserved := strings.HasPrefix(canonical, "Proxy-") || strings.HasPrefix(canonical, "X-Forwarded-")
	for _, r := range reserved {
		isReserved = isReserved || canonical == r
	}
	if isReserved {
		return "", fmt.Errorf("the header %s belongs to the connection, to proxies or to authentication", canonical)
	}
	return canonical, nil
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
