package internal

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// Outside its folder and the list of providers, product code doesn't contain a vendor's name.
func TestVendorsAreInTheirFolders(t *testing.T) {
	var names []string
	own := []string{"internal/verify/providers/"}
	for _, p := range providers.All {
		names = append(names, regexp.QuoteMeta(p.Name), regexp.QuoteMeta(p.Title))
		own = append(own, "internal/verify/"+p.Name+"/", "event/"+p.Name+".go")
	}
	for _, p := range providers.Described {
		if p.Site != "" { // of a vendor, and not of any
			names = append(names, regexp.QuoteMeta(p.Name), regexp.QuoteMeta(p.Title))
			own = append(own, "internal/verify/hmac/")
		}
	}
	vendor := regexp.MustCompile("(?i)" + strings.Join(names, "|"))
	root, files := os.DirFS(".."), 0
	for _, dir := range []string{"cmd", "config", "event", "internal"} {
		err := fs.WalkDir(root, dir, func(file string, entry fs.DirEntry, err error) error {
			isProduct := strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go") || strings.Contains(file, "/static/")
			if err != nil || entry.IsDir() || !isProduct || slices.ContainsFunc(own, func(dir string) bool { return strings.HasPrefix(file, dir) }) {
				return err
			}
			content, err := fs.ReadFile(root, file)
			files++
			for i, line := range strings.Split(string(content), "\n") {
				line = strings.ReplaceAll(line, "syscall.Flock", "") // flock(2)
				line = regexp.MustCompile(`(?i)github\.com`).ReplaceAllString(line, "")
				if name := vendor.FindString(line); name != "" {
					t.Errorf("%s:%d has a vendor's name: %s", file, i+1, strings.TrimSpace(line))
				}
			}
			return err
		})
		expect.NoError(t, err)
	}
	if files < 100 {
		t.Errorf("only %d files were searched", files)
	}
}
