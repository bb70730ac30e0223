package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

var (
	quoted = regexp.MustCompile("`([^`]+)`")
	goFile = regexp.MustCompile(`^(?:[a-z]+/)*[a-z]+\.go$`)
	goFunc = regexp.MustCompile(`^(?:[A-Za-z]+\.)*([A-Za-z]+)$`)
)

// The walk through the code in architecture.md names files and functions that there are.
func TestWalk(t *testing.T) {
	_, walk, _ := strings.Cut(prose(t, "architecture.md"), "\n1. ")
	steps := regexp.MustCompile(`(?m)^\d+\. `).Split("1. "+walk, -1)[1:]
	if len(steps) < 10 || len(steps) > 15 {
		t.Errorf("the walk has %d steps", len(steps))
	}
	code := productCode(t)
	for _, step := range steps {
		for _, m := range quoted.FindAllStringSubmatch(step, -1) {
			switch name := m[1]; {
			case goFile.MatchString(name):
				below, _ := filepath.Glob("../internal/*/" + name)
				whole, _ := filepath.Glob("../internal/" + name)
				if len(below)+len(whole) == 0 {
					t.Errorf("there is no file %s: %s", name, step)
				}
			case goFunc.MatchString(name) && name != "spooled":
				last := goFunc.FindStringSubmatch(name)[1] // a function, a method, or a field that is one
				if !regexp.MustCompile(`(func (\([^)]+\) )?` + last + `\(|\t` + last + ` +func\()`).MatchString(code) {
					t.Errorf("there is no function %s: %s", name, step)
				}
			}
		}
	}
}

func productCode(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../internal/*/*.go")
	expect.NoError(t, err)
	vendors, _ := filepath.Glob("../internal/*/*/*.go")
	var code strings.Builder
	for _, file := range append(files, vendors...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		expect.NoError(t, err)
		code.Write(text)
	}
	return code.String()
}
