package hmac

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// parseFormat reads SIGNATURE_FORMAT. There are two kinds:
//   - a list of name={…} with commas or semicolons between them, such as t={timestamp},v1={hex}.
//     In a header the members may be in any order, the signature may occur several times, and
//     unknown members are ignored;
//   - other text around a signature, such as v1,{base64}. A header may have several with blanks
//     between them, unless the text itself has blanks.
func parseFormat(template string) (f verify.Format, err error) {
	encoding, hasTime, err := placeholders(template)
	if err != nil {
		return verify.Format{}, err
	}
	f.Encodings, f.Separator = []verify.Encoding{encoding}, ","
	if strings.Contains(template, ";") {
		f.Separator = ";"
	}
	list := strings.Split(template, f.Separator)
	switch {
	case !slices.ContainsFunc(list, func(text string) bool { return !listed.MatchString(text) }):
	case hasTime:
		return verify.Format{}, errors.New("a time needs a list, such as t={timestamp},v1={hex}")
	case strings.Contains(template, " "):
		f.Separator, list = "", []string{template}
	default:
		f.Separator, list = " ", []string{template}
	}
	for _, text := range list {
		prefix, rest, _ := strings.Cut(strings.TrimSpace(text), "{")
		name, suffix, _ := strings.Cut(rest, "}")
		f.Items = append(f.Items, verify.Item{Prefix: prefix, Suffix: suffix, IsTime: name == "timestamp"})
	}
	return f, nil
}

// placeholders returns the encoding of the format's one signature, and reports whether it has a time.
func placeholders(template string) (encoding verify.Encoding, hasTime bool, err error) {
	parts, err := split(template)
	if err != nil {
		return "", false, err
	}
	signatures, times := 0, 0
	for _, p := range parts {
		switch p.kind {
		case literal:
		case mac:
			encoding = verify.Encoding(p.text)
			signatures++
		case timestamp:
			times++
		default:
			return "", false, atCharacter(p.position, "only {hex}, {base64} and {timestamp} are allowed here")
		}
	}
	switch {
	case signatures != 1:
		return "", false, errors.New("it needs {hex} or {base64}, once")
	case times > 1:
		return "", false, errors.New("{timestamp} is given twice")
	}
	return encoding, times == 1, nil
}

// listed matches a member of a list.
var listed = regexp.MustCompile(`^\s*[^={}, ;]+=\{[^{}]*\}\s*$`)
