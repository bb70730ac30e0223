package k8s

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/kubectl-validate/pkg/openapiclient"
	"sigs.k8s.io/kubectl-validate/pkg/validator"
)

// versions of Kubernetes whose schemas kubectl-validate has, from the oldest that deploy/k8s takes.
var versions = []string{"1.27", "1.28", "1.29", "1.30"}

// crds are where the schemas of what isn't Kubernetes' own come from: files of Go modules, of which no
// code is used, so that no go.mod can require them.
var crds = []struct {
	module string
	files  []string
}{
	{"sigs.k8s.io/gateway-api@v1.6.3", []string{
		"config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
		"config/crd/standard/gateway.networking.k8s.io_gateways.yaml",
	}},
	{"github.com/prometheus-operator/prometheus-operator@v0.85.0", []string{
		"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
		"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
	}},
	{"github.com/cert-manager/cert-manager@v1.21.2", []string{"deploy/crds/cert-manager.io_certificates.yaml"}},
	{"github.com/external-secrets/external-secrets@v1.3.2", []string{"config/crds/bases/external-secrets.io_externalsecrets.yaml"}},
	{keda, []string{"config/crd/bases/keda.sh_scaledobjects.yaml"}},
}

// The modules that examples are held to beyond a schema.
const (
	keda         = "github.com/kedacore/keda/v2@v2.21.0"
	ingressNginx = "k8s.io/ingress-nginx@v0.0.0-20240708192948-52c50467d67d"
)

// schemas are the validators by version.
func schemas(t *testing.T) map[string]*validator.Validator {
	t.Helper()
	dir := t.TempDir()
	for _, c := range crds {
		module := download(t, c.module)
		for _, file := range c.files {
			text, err := os.ReadFile(filepath.Join(module, file))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600)
			}
			noError(t, err)
		}
	}
	all := make(map[string]*validator.Validator)
	for _, version := range versions {
		v, err := validator.New(openapiclient.NewComposite(openapiclient.NewHardcodedBuiltins(version), openapiclient.NewLocalCRDFiles(os.DirFS(dir))))
		noError(t, err)
		all[version] = v
	}
	return all
}

// download returns the directory of a module, which Go's checksum database vouches for.
func download(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.Command("go", "mod", "download", "-json", module).Output()
	var got struct{ Dir, Error string }
	if err := json.Unmarshal(out, &got); err != nil || got.Dir == "" {
		t.Fatalf("%s: %v: %s", module, err, got.Error)
	}
	if err != nil {
		t.Fatalf("%s: %v: %s", module, err, got.Error)
	}
	return got.Dir
}

func TestSchemas(t *testing.T) {
	all := schemas(t)
	for _, r := range renderings(t) {
		for version, v := range all {
			for _, document := range r.documents {
				if err := validate(v, document); err != nil {
					t.Errorf("%s, Kubernetes %s: %v:\n%s", r.name, version, err, document)
				}
			}
		}
	}
}

// A violation of the schemas is found.
func TestSchemasRefuse(t *testing.T) {
	all := schemas(t)
	for _, test := range []struct{ name, document, says string }{
		{"unknown member", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {prots: []}", "prots"},
		{"wrong type", "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: x}\nspec: {selector: x}", "spec.selector"},
		{"a CRD's enumeration", "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: x}\nspec: {rules: [{matches: [{method: post}]}]}", "spec.rules[0].matches[0].method"},
		{"a CRD's unknown member", "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: x}\nspec: {selector: {}, endpoint: []}", "endpoint"},
		{"unknown kind", "apiVersion: apps/v1\nkind: Deploymint\nmetadata: {name: x}", "Deploymint"},
	} {
		for version, v := range all {
			if err := validate(v, []byte(test.document)); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s, Kubernetes %s: got %v; want an error with %q", test.name, version, err, test.says)
			}
		}
	}
}

func validate(v *validator.Validator, document []byte) error {
	kind, object, err := v.Parse(document)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return v.Validate(object)
}
