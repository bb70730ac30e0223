package k8s

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var (
	// shown matches a patch in a comment, and marks what must be removed to use it.
	shown = regexp.MustCompile(`(?m)^ *# +- target: .*\n( *# +(patch: |- \{).*\n)+`)
	marks = regexp.MustCompile(`(?m)^ *# `)
)

// The patches that comments show can be used as they stand, and change something.
func TestPatchesInComments(t *testing.T) {
	all := 0
	for _, dir := range append(directories(t, "components"), directories(t, "overlays")...) {
		text, err := os.ReadFile(filepath.Join(root, "deploy/k8s", dir, "kustomization.yaml"))
		noError(t, err)
		for _, comment := range shown.FindAllString(string(text), -1) {
			all++
			var components []string
			if strings.HasPrefix(dir, "components/") {
				components = []string{dir}
			}
			at := kustomization(t, components...)
			without := render(t, dir, at)
			file, err := os.OpenFile(filepath.Join(root, "deploy/k8s", at, "kustomization.yaml"), os.O_APPEND|os.O_WRONLY, 0)
			noError(t, err)
			_, err = file.WriteString("patches:\n" + marks.ReplaceAllString(comment, ""))
			noError(t, err)
			noError(t, file.Close())
			if reflect.DeepEqual(without, render(t, dir, at)) {
				t.Errorf("%s: this changes nothing:\n%s", dir, comment)
			}
		}
	}
	if all < 5 {
		t.Errorf("%d patches were found", all)
	}
}
