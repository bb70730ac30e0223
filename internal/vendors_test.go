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

// Outside its folder and the list of providers, product code doesn't contain a vendor's name, nor that of
// its header or of one of its events.
func TestVendorsAreInTheirFolders(t *testing.T) {
	var names []string
	// The client for Node has types of its own for the vendors, beside those from the schema.
	own := []string{"internal/verify/providers/providers.go", "clients/node/src/vendors.ts", "clients/node/src/event.generated.ts", "clients/node/src/index.ts"}
	for _, p := range providers.All {
		own = append(own, "internal/verify/"+p.Name+"/", "event/"+p.Name+".go")
		names = append(append(names, p.Events...), p.Name, p.Title, p.Signature.Header)
	}
	for _, p := range providers.Presets {
		if p.Source != "" { // else it is any vendor
			names = append(names, p.Name, p.Title, p.Settings.SignatureHeader)
		}
	}
	own = append(own, "internal/verify/hmac/")
	for i, name := range names {
		names[i] = regexp.QuoteMeta(name)
	}
	vendor := regexp.MustCompile("(?i)" + strings.Join(names, "|"))
	root, files := os.DirFS(".."), 0
	for _, dir := range []string{"cmd", "config", "event", "internal", "clients/node/src", "deploy/nats", "deploy/helm/templates"} {
		err := fs.WalkDir(root, dir, func(file string, entry fs.DirEntry, err error) error {
			isProduct := !strings.HasSuffix(file, "_test.go") && !strings.Contains(file, "/testdata/")
			if err != nil || entry.IsDir() || !isProduct || slices.ContainsFunc(own, func(dir string) bool { return strings.HasPrefix(file, dir) }) {
				return err
			}
			content, err := fs.ReadFile(root, file)
			files++
			for i, line := range strings.Split(string(content), "\n") {
				line = strings.ReplaceAll(line, "syscall.Flock", "") // flock(2)
				line = strings.ReplaceAll(line, "order.paid", "")    // an example, of no vendor in particular
				line = regexp.MustCompile(`(?i)github\.(com|io)`).ReplaceAllString(line, "")
				if name := vendor.FindString(line); name != "" {
					t.Errorf("%s:%d has a vendor's %s: %s", file, i+1, name, strings.TrimSpace(line))
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
