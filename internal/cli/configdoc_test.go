package cli

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateConfiguration = flag.Bool("update-configuration", false, "write the table of docs/configuration.md anew")

// The table of docs/configuration.md is what `bridge config --markdown` prints. `go generate ./...`
// writes it anew.
func TestConfigurationDocument(t *testing.T) {
	const (
		file  = "../../docs/configuration.md"
		begin = "<!-- configuration: go generate ./... -->\n"
		end   = "<!-- /configuration -->"
	)
	document, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// A checkout may have changed the line ends.
	text := strings.ReplaceAll(string(document), "\r\n", "\n")
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
	if !*updateConfiguration {
		t.Fatalf("docs/configuration.md has drifted from the code, run `go generate ./...` (-document +code):\n%s", cmp.Diff(strings.Split(got, "\n"), strings.Split(want, "\n")))
	}
	if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
