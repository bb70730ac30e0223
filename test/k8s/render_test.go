// Package k8s checks the renderings of deploy/k8s against Kubernetes' own schemas and our policies.
// It is a module of its own, so that the product doesn't depend on Kubernetes.
package k8s

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// root is the repository.
const root = "../.."

// directories are those in one of deploy/k8s.
func directories(t *testing.T, below string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, "deploy/k8s", below))
	noError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, below+"/"+e.Name())
	}
	if len(names) == 0 {
		t.Fatalf("nothing in %s", below)
	}
	return names
}

// rendering is one way to use deploy/k8s.
type rendering struct {
	name      string
	documents [][]byte
}

var rendered struct {
	once sync.Once
	all  []rendering
}

// renderings are the base, each component on it, all that go together, and each overlay.
func renderings(t *testing.T) []rendering {
	t.Helper()
	rendered.once.Do(func() {
		all := []rendering{render(t, "base", "base")}
		components := directories(t, "components")
		for _, c := range components {
			all = append(all, compose(t, c))
		}
		for _, apart := range []string{"components/hpa", "components/durable-spool"} {
			all = append(all, compose(t, slices.DeleteFunc(slices.Clone(components), func(c string) bool { return c == apart })...))
		}
		for _, o := range directories(t, "overlays") {
			all = append(all, render(t, o, o))
		}
		rendered.all = all
	})
	if rendered.all == nil {
		t.Fatal("nothing was rendered: see the first test that failed")
	}
	return rendered.all
}

// compose renders the base with components.
func compose(t *testing.T, components ...string) rendering {
	t.Helper()
	dir := kustomization(t, components...)
	return render(t, "base with "+strings.Join(components, ", "), dir)
}

// kustomization writes one of the base and components, and returns its directory below deploy/k8s.
func kustomization(t *testing.T, components ...string) string {
	t.Helper()
	deploy, err := filepath.Abs(filepath.Join(root, "deploy/k8s"))
	noError(t, err)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	noError(t, err)
	up, err := filepath.Rel(dir, deploy)
	noError(t, err)
	text := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: test\nresources:\n  - " + up + "/base\ncomponents:\n"
	for _, c := range components {
		text += "  - " + up + "/" + c + "\n"
	}
	noError(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600))
	below, err := filepath.Rel(deploy, dir)
	noError(t, err)
	return below
}

// render renders a directory below deploy/k8s.
func render(t *testing.T, name, dir string) rendering {
	t.Helper()
	out, err := build(dir)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return rendering{name, split(t, out)}
}

// kustomize returns the program of the version that tools/go.mod pins. What Go says while it downloads
// and builds it is no warning of kustomize.
var kustomize = sync.OnceValues(func() (string, error) {
	c := exec.Command("go", "tool", "-modfile=tools/go.mod", "-n", "kustomize")
	c.Dir, c.Env = root, append(os.Environ(), "GOWORK=off") // with a workspace there is no -modfile
	path, err := c.Output()
	return strings.TrimSpace(string(path)), err
})

// build is `kustomize build`.
func build(dir string) ([]byte, error) {
	program, err := kustomize()
	if err != nil {
		return nil, fmt.Errorf("building kustomize: %w", err)
	}
	c := exec.Command(program, "build", filepath.Join("deploy/k8s", dir))
	c.Dir = root
	var words bytes.Buffer
	c.Stderr = &words
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("kustomize: %w: %s", err, words.Bytes())
	}
	if words.Len() > 0 {
		return nil, fmt.Errorf("kustomize warns: %s", words.Bytes())
	}
	return out, nil
}

func split(t *testing.T, manifest []byte) (documents [][]byte) {
	t.Helper()
	for d := range bytes.SplitSeq(manifest, []byte("\n---\n")) {
		if len(bytes.TrimSpace(d)) > 0 {
			documents = append(documents, d)
		}
	}
	return documents
}

// decode reads a document, and takes nothing that its type doesn't have.
func decode[T any](t *testing.T, document []byte) *T {
	t.Helper()
	object := new(T)
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		t.Fatalf("%v:\n%s", err, document)
	}
	return object
}

// A StatefulSet's volumes don't go with a number of instances that changes by itself.
func TestDurableSpoolAndHPAExcludeEachOther(t *testing.T) {
	for _, test := range []struct{ first, second, says string }{
		{"components/hpa", "components/durable-spool", "nonexistent key: replicas"},
		{"components/durable-spool", "components/hpa", "testing value /kind failed"},
	} {
		_, err := build(kustomization(t, test.first, test.second))
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s, then %s: got %v; want an error with %q", test.first, test.second, err, test.says)
		}
	}
}

// With includeTemplates the kustomize of kubectl 1.32 also labels volumeClaimTemplates. Kubernetes then
// refuses every change of these labels, so the next version couldn't be applied.
func TestOverlaysDoNotLabelVolumes(t *testing.T) {
	for _, overlay := range directories(t, "overlays") {
		text, err := os.ReadFile(filepath.Join(root, "deploy/k8s", overlay, "kustomization.yaml"))
		noError(t, err)
		var k struct {
			Labels []struct{ IncludeTemplates bool }
		}
		noError(t, yaml.Unmarshal(text, &k))
		for _, labels := range k.Labels {
			if labels.IncludeTemplates {
				t.Errorf("%s has labels with includeTemplates: name the fields instead", overlay)
			}
		}
	}
}

// noError ends the test if there is an error.
func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
