package secret

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

func keysOf(list []Secret) (keys []string) {
	for _, s := range list {
		keys = append(keys, string(s.Key()))
	}
	return keys
}

func TestLines(t *testing.T) {
	for _, test := range []struct {
		name, content string
		want          []string
		err           string
	}{
		{name: "one", content: "current\n", want: []string{"current"}},
		{name: "without a last line break, as Kubernetes writes it", content: "current\nolder", want: []string{"current", "older"}},
		{name: "blank lines, other line ends, space around", content: "\r\n current\t\r\n\n\nolder \r\n", want: []string{"current", "older"}},
		{name: "a byte order mark", content: "\ufeffcurrent\n", want: []string{"current"}},
		{name: "a comma and a space are part of a secret", content: "a, b\n", want: []string{"a, b"}},
		{name: "not only ASCII", content: "geheim-ä-密\n", want: []string{"geheim-ä-密"}},
		{name: "empty", content: "", err: "it holds no secret"},
		{name: "blank", content: " \n\t\n", err: "it holds no secret"},
		{name: "NUL", content: "current\nol\x00der\n", err: "line 2 is not text"},
		{name: "a tab inside", content: "cur\trent\n", err: "line 1 is not text"},
		{name: "UTF-16", content: "c\x00u\x00r\x00\n\x00", err: "line 1 is not text"},
		{name: "not UTF-8", content: "current\n\n\xff\xfe\n", err: "line 3 is not text"},
		{name: "a key", content: "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n", err: "line 1 begins a key or a certificate in PEM"},
		{name: "a comment", content: "current\n\n  # older, until June\nolder\n", err: "line 3 begins with #: there are no comments, each line is a secret"},
		{name: "a placeholder", content: "current\n${OLDER}\n", err: "line 2 is a placeholder such as ${X}, <your-secret> or changeme: put the secret in its place"},
		{name: "one twice", content: "a\nb\n\n a\n", err: "line 4 is the same as line 1"},
		{name: "as large as a file may be", content: strings.Repeat("x", MaxFile-1) + "\n", want: []string{strings.Repeat("x", MaxFile-1)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			list, err := Lines([]byte(test.content))
			expect.Equal(t, test.want, keysOf(list), "the secrets")
			if err == nil && test.err != "" || err != nil && err.Error() != test.err {
				t.Errorf("%v, want %q", err, test.err)
			}
		})
	}
}

func TestList(t *testing.T) {
	for text, want := range map[string][]string{
		"a":        {"a"},
		" a , b,c": {"a", "b", "c"},
		"":         nil,
		"a,":       nil,
		"a,,b":     nil,
		"a, b, a":  nil,

		"$SECRET":         nil,
		"${SECRET}":       nil,
		"a,<your-secret>": nil,
		"ChangeMe":        nil,
		"{{ .Values.a }}": nil,
		"$(SECRET)":       nil,
		"a$(SECRET)":      {"a$(SECRET)"},
		"$2b$10$abc":      {"$2b$10$abc"},
		"a${SECRET}":      {"a${SECRET}"},
		"<a>b":            {"<a>b"},
		"changeme-not":    {"changeme-not"},
	} {
		list, err := List(text)
		if diff := cmp.Diff(want, keysOf(list)); diff != "" || (err == nil) != (want != nil) {
			t.Errorf("%q: got the error %v, and the secrets (-want +got):\n%s", text, err, diff)
		}
	}
}

// Any content gives either an error that quotes nothing of it, or distinct secrets in order. Written into a
// file again, they are the same.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{"", "a", "a\nb\n", " a \r\n\r\nb", "a\na", "\x00", "\xff", "\ufeffa\n", "-----BEGIN X-----", "# a comment", "<your-secret>\nx", "\u0085a\u00a0", "\n\n\n", "a\rb"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		list, err := Lines(content)
		if err != nil {
			for line := range strings.Lines(string(content)) {
				if line = strings.TrimSpace(line); len(line) > 5 && strings.Contains(err.Error(), line) && !strings.Contains("it holds no secret, line is not text, begins a key or a certificate in PEM, is the same as line, begins with #: there are no comments, each line is a secret, is a placeholder such as ${X}, <your-secret> or changeme: put the secret in its place", line) {
					t.Fatalf("the error has a line: %v", err)
				}
			}
			if list != nil {
				t.Fatal("secrets and an error")
			}
			return
		}
		rest := string(content)
		for i, s := range list {
			key := string(s.Key())
			_, after, found := strings.Cut(rest, key)
			if !found || key == "" || strings.TrimSpace(key) != key || !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
				t.Fatalf("secret %d: %q", i, key)
			}
			rest = after
			if slices.IndexFunc(list, s.Equal) != i {
				t.Fatalf("secret %d is there twice", i)
			}
		}
		again, err := Lines([]byte(strings.Join(keysOf(list), "\n")))
		if diff := cmp.Diff(keysOf(list), keysOf(again)); diff != "" || err != nil {
			t.Fatalf("read again: got the error %v, and the secrets (-first +again):\n%s", err, diff)
		}
	})
}
