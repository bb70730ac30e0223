package cli

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateREADME = flag.Bool("update-readme", false, "write the README's configuration table anew")

// The README's configuration table is what `bridge config --markdown` prints. `go generate ./...`
// writes it anew.
func TestREADME(t *testing.T) {
	const (
		file  = "../../README.md"
		begin = "<!-- configuration: go generate ./... -->\n"
		end   = "<!-- /configuration -->"
	)
	readme, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// A checkout may have changed the line ends.
	text := strings.ReplaceAll(string(readme), "\r\n", "\n")
	before, rest, found := strings.Cut(text, begin)
	got, after, ended := strings.Cut(rest, end)
	if !found || !ended || strings.Contains(after, begin) {
		t.Fatalf("%s must have one %s… %s", file, begin, end)
	}

	var out, words bytes.Buffer
	if status := run(t.Context(), []string{"config", "--markdown"}, nil, stdio{nil, &out, &words}); status != exitOK {
		t.Fatalf("bridge config --markdown: exit status %d: %s", status, &words)
	}
	want := "\n" + out.String() + "\n" // markdown ends a comment's block, and begins a table's, at an empty line
	if got == want {
		return
	}
	if !*updateREADME {
		t.Fatalf("the README's configuration table has drifted from the code, run `go generate ./...` (-README +code):\n%s", cmp.Diff(strings.Split(got, "\n"), strings.Split(want, "\n")))
	}
	if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
