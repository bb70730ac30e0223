package docs_test

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// walked is a function, or a file alone, in the walk: `Type.method` (`dir/file.go`).
var walked = regexp.MustCompile("`([a-z/]+\\.go)`|`(?:([A-Za-z]+)\\.)?([A-Za-z]+)`(?:,?\\s+\\(?`([a-z/]+\\.go)`)?")

// The walk through the code in architecture.md names functions that there are, in the files where they are.
func TestWalk(t *testing.T) {
	_, walk, _ := strings.Cut(prose(t, "architecture.md"), "\n1. ")
	steps := regexp.MustCompile(`(?m)^\d+\. `).Split("1. "+walk, -1)[1:]
	if len(steps) < 10 || len(steps) > 15 {
		t.Errorf("the walk has %d steps", len(steps))
	}
	for _, step := range steps {
		for _, m := range walked.FindAllStringSubmatch(step, -1) {
			file, owner, name := m[1]+m[4], m[2], m[3]
			code := productCode(t, file)
			declared := `func (\([^)]+\) )?` + name + `\(|\t` + name + `(:| +func\()` // a function, a method, or a field that is one
			if owner != "" {
				declared = `(?s)package ` + owner + `\n.*func ` + name + `\(|func \(\w+ \*?` + owner + `\) ` + name + `\(`
			}
			switch {
			case code == "":
				t.Errorf("there is no file %s: %s", file, step)
			case name != "" && name != "spooled" && !regexp.MustCompile(declared).MatchString(code):
				t.Errorf("there is no function %s: %s", m[0], step)
			}
		}
	}
}

// productCode returns the code of a file, such as ingest/handler.go or handler.go; of all files for "".
func productCode(t *testing.T, name string) string {
	t.Helper()
	var code strings.Builder
	for _, dir := range []string{"../internal", "../internal/*", "../internal/*/*"} {
		files, err := filepath.Glob(filepath.Join(dir, cmp.Or(name, "*.go")))
		expect.NoError(t, err)
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				text, err := os.ReadFile(file)
				expect.NoError(t, err)
				code.Write(text)
			}
		}
	}
	return code.String()
}
