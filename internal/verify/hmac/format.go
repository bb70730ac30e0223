package hmac

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// listed matches a member of a list.
var listed = regexp.MustCompile(`^\s*[^={}, ;]+=\{[^{}]*\}\s*$`)

// parseFormat reads SIGNATURE_FORMAT. There are two kinds:
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
			return verify.Format{}, atCharacter(p.position, "only {hex}, {base64} and {timestamp} are allowed here")
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
