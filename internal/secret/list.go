package secret

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxFile is the largest file of secrets in bytes: enough for a thousand of them.
const MaxFile = 64 << 10

// The errors of a list.
var (
	ErrTwice       = errors.New("one of them is given twice")
	ErrPlaceholder = errors.New("one of them is a placeholder such as ${X}, <your-secret> or changeme, which nothing has filled in")
)

// List reads comma-separated secrets and trims white space around them. It refuses an empty one,
// with which anybody could sign, and one that is given twice, which must be a mistake.
func List(text string) ([]Secret, error) {
	var list []Secret
	seen := make(map[string]bool)
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		switch {
		case part == "":
			return nil, errors.New("an empty secret")
		case seen[part]:
			return nil, ErrTwice
		case isPlaceholder(part):
			return nil, ErrPlaceholder
		}
		seen[part] = true
		list = append(list, New(part))
	}
	return list, nil
}

// Lines reads a file with one secret a line. It trims white space around them and skips blank
// lines. It refuses what can't be a file of secrets, because each line of it would become a secret
// and many could be guessed. An error never quotes the content.
func Lines(content []byte) ([]Secret, error) {
	content = bytes.TrimPrefix(content, []byte("\ufeff")) // some editors write it
	var list []Secret
	seen := make(map[string]int) // line numbers
	number := 0
	for line := range bytes.Lines(content) {
		number++
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0:
			continue
		case !utf8.Valid(line) || bytes.ContainsFunc(line, notText):
			return nil, fmt.Errorf("line %d is not text", number)
		case bytes.HasPrefix(line, []byte("-----BEGIN ")):
			return nil, fmt.Errorf("line %d begins a key or a certificate in PEM", number)
		case line[0] == '#':
			return nil, fmt.Errorf("line %d begins with #: there are no comments, each line is a secret", number)
		case isPlaceholder(string(line)):
			return nil, fmt.Errorf("line %d is a placeholder such as ${X}, <your-secret> or changeme, which nothing has filled in", number)
		}
		text := string(line)
		if first, ok := seen[text]; ok {
			return nil, fmt.Errorf("line %d has the same secret as line %d", number, first)
		}
		seen[text] = number
		list = append(list, New(text))
	}
	if len(list) == 0 {
		return nil, errors.New("it holds no secret")
	}
	return list, nil
}

func notText(r rune) bool { return unicode.IsControl(r) || r == '\ufeff' }
