package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

var (
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	marked  = regexp.MustCompile(`<a id="([^"]+)">`)
	inSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Every relative link in a document leads to a file of the repository and, with a fragment, to one
// of its headings, as GitHub names them.
func TestLinks(t *testing.T) {
	checked := 0
	if err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git"):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".md"):
			return nil
		}
		for _, m := range link.FindAllStringSubmatch(prose(t, path), -1) {
			file, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, ":") {
				continue // elsewhere on the web
			}
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			checked++
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: there is no such file", path, m[1])
			} else if fragment != "" && !anchors(t, target)[fragment] {
				t.Errorf("%s links to %s: there is no such heading", path, m[1])
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if checked < 100 {
		t.Errorf("only %d links were found", checked)
	}
}

// prose returns a document without its code blocks.
func prose(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	expect.NoError(t, err)
	return fence.ReplaceAllString(string(text), "")
}

// anchors returns the fragments that lead into a document.
func anchors(t *testing.T, path string) map[string]bool {
	t.Helper()
	text, all := prose(t, path), map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		slug := inSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		all[strings.ReplaceAll(slug, " ", "-")] = true
	}
	for _, m := range marked.FindAllStringSubmatch(text, -1) {
		all[m[1]] = true
	}
	return all
}
