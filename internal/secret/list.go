package secret

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxFile is the largest file of secrets in bytes: enough for a thousand of them.
const MaxFile = 64 << 10

// List reads comma-separated secrets and trims white space around them. An error never quotes any.
func List(text string) ([]Secret, error) {
	l := list{names: make(map[string]string)}
	for i, part := range strings.Split(text, ",") {
		if err := l.add(fmt.Sprintf("secret %d", i), strings.TrimSpace(part)); err != nil {
			return nil, err
		}
	}
	return l.secrets, nil
}

// Lines reads a file with one secret a line. It trims white space around them and skips blank lines. It
// refuses other kinds of files, because each line would become a secret, and many could be guessed. An
// error never quotes the content.
func Lines(content []byte) ([]Secret, error) {
	l, number := list{names: make(map[string]string)}, 0
	content = bytes.TrimPrefix(content, []byte("\ufeff")) // the byte order mark, which some editors write
	for line := range bytes.Lines(content) {
		number++
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0:
			continue
		case !utf8.Valid(line) || bytes.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) || r == '\ufeff' }):
			return nil, fmt.Errorf("line %d is not text", number)
		case bytes.HasPrefix(line, []byte("-----BEGIN ")):
			return nil, fmt.Errorf("line %d begins a key or a certificate in PEM", number)
		case line[0] == '#':
			return nil, fmt.Errorf("line %d begins with #: there are no comments, each line is a secret", number)
		}
		if err := l.add(fmt.Sprintf("line %d", number), string(line)); err != nil {
			return nil, err
		}
	}
	if l.secrets == nil {
		return nil, errors.New("it holds no secret")
	}
	return l.secrets, nil
}

// placeholder matches what a template has in place of a secret.
var placeholder = regexp.MustCompile(`(?i)^(\$\{[^}]*\}|\$\([^()]*\)|\$[a-z_][a-z0-9_]*|<[^<>]*>|\{\{.*\}\}|change[-_ ]?me)$`)

// list holds the secrets that have been read.
type list struct {
	secrets []Secret
	names   map[string]string // of the secrets, for errors
}

// add adds a secret. It refuses an empty one, a placeholder, and one that is there already.
func (l *list) add(name, text string) error {
	switch other, isThere := l.names[text]; {
	case text == "":
		return fmt.Errorf("%s is empty", name)
	case placeholder.MatchString(text):
		return fmt.Errorf("%s is a placeholder such as ${X}, <your-secret> or changeme: put the secret in its place", name)
	case isThere:
		return fmt.Errorf("%s is the same as %s", name, other)
	}
	l.names[text] = name
	l.secrets = append(l.secrets, New(text))
	return nil
}

// assignment matches a secret with a name and an equals sign in front. It doesn't match base64's padding.
var assignment = regexp.MustCompile(`^(export +)?[A-Z][A-Z0-9_]*=[^=]`)

var quoted = regexp.MustCompile(`^(".*"|'.*'|` + "`.*`" + `|[“„].*[”“]|‘.*’)$`)

// minLength is the length below which a secret is doubted: generated ones are longer.
const minLength = 16

// Doubt returns why the secret looks wrong, and what to do; "" if it doesn't. It quotes nothing of it.
func (s Secret) Doubt() string {
	text := string(s.Key())
	switch {
	case quoted.MatchString(text):
		return "has quotation marks around it, which count as a part of it: leave them out; env files and Kubernetes Secrets keep them"
	case assignment.MatchString(text):
		return "has a name and = in front, which count as a part of it: give the secret alone"
	case strings.ContainsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }):
		return "has white space or a comma in it: copy it again; separate several secrets by commas in a variable, or by lines in a file"
	case strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }):
		return "has characters in it that aren't ASCII, or are invisible: copy it again"
	case len(text) < minLength:
		return "has fewer than 16 characters: if a shell has eaten the part from a $ or ! on, quote it with '; " +
			"a short secret can be guessed from a signature"
	}
	return ""
}
