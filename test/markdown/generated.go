package markdown

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

var update = flag.Bool("update-documents", false, "write what documents have from the code anew")

// Generated expects a document to be what the code makes of it, or with -update-documents writes it
// anew: `go generate ./...` does.
func Generated(t *testing.T, file string, generate func(text string) string) {
	t.Helper()
	content, err := os.ReadFile(file)
	expect.NoError(t, err)
	got := strings.ReplaceAll(string(content), "\r\n", "\n") // a checkout may have changed the line ends
	want := generate(got)
	switch {
	case got == want:
	case *update:
		expect.NoError(t, os.WriteFile(file, []byte(want), 0o600))
	default:
		t.Errorf("%s is not what the code makes of it, run `go generate ./...` (-document +code):\n%s", file, cmp.Diff(strings.Split(got, "\n"), strings.Split(want, "\n")))
	}
}

// Part returns a document with its generated part replaced, which stands between two comments with
// that name.
func Part(t *testing.T, text, name, part string) string {
	t.Helper()
	begin, end := "<!-- "+name+": go generate ./... -->\n", "<!-- /"+name+" -->"
	before, rest, found := strings.Cut(text, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended || strings.Contains(after, begin) {
		t.Fatalf("the document must have one %s… %s", begin, end)
	}
	return before + begin + "\n" + part + "\n" + end + after // markdown ends a comment's block at an empty line
}
