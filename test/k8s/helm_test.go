package k8s

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// The chart deploys what kustomize does, object by object and field by field.
func TestChartIsWhatKustomizeRenders(t *testing.T) {
	const image = "image.repository=webhook-bridge,image.tag=dev,secretName=webhook-bridge"
	for _, test := range []struct {
		name, overlay string
		components    []string
		values        []string
	}{
		{name: "defaults", overlay: "base", values: []string{"--set", image}},
		{"production", "overlays/production", nil, []string{
			"--values", "deploy/helm/values-production.yaml",
			"--set", "image.repository=registry.example.com/webhook-bridge,image.tag=v0.1.0",
		}},
		{"durable spool", "", []string{"components/durable-spool"}, []string{"--set", image + ",spool.durable=true"}},
		{"autoscaling", "", []string{"components/hpa"}, []string{"--set", image + ",hpa.enabled=true"}},
		{"service monitor", "", []string{"components/service-monitor"}, []string{"--set", image + ",serviceMonitor.enabled=true"}},
		{"ingress", "", []string{"components/ingress"}, []string{
			"--set", image + ",ingress.enabled=true,ingress.host=hooks.example.com,ingress.tlsSecretName=webhook-bridge-tls",
		}},
		{"gateway", "", []string{"components/gateway-api"}, []string{
			"--set", image + ",httpRoute.enabled=true,httpRoute.host=hooks.example.com",
			"--set-json", `httpRoute.parentRefs=[{"name":"public","namespace":"gateway","sectionName":"https"}]`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var kustomized rendering
			if test.overlay != "" {
				kustomized = render(t, test.overlay, test.overlay)
			} else {
				kustomized = compose(t, test.components...)
			}
			out, err := template(append([]string{"webhook-bridge", "deploy/helm"}, test.values...)...)
			noError(t, err)
			chart := rendering{"chart", split(t, out)}
			if diff := cmp.Diff(pared(t, kustomized), pared(t, chart)); diff != "" {
				t.Errorf("kustomize (-) and the chart (+) differ:\n%s", diff)
			}
		})
	}
}

// template is `helm template`, of the version that tools/helm/go.mod pins.
func template(args ...string) ([]byte, error) {
	// Without its release's build flags helm assumes Kubernetes 1.20.
	args = append([]string{"tool", "-modfile=tools/helm/go.mod", "helm", "template", "--kube-version=1.30.0"}, args...)
	c := exec.Command("go", args...)
	c.Dir, c.Env = root, append(os.Environ(), "GOWORK=off")
	var words bytes.Buffer
	c.Stderr = &words
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("helm: %w: %s", err, words.Bytes())
	}
	return out, nil
}

// hash ends the name of a ConfigMap that kustomize generates; the chart has an annotation instead.
var hash = regexp.MustCompile(`^webhook-bridge-[a-z0-9]{10}$`)

// pared returns a rendering's objects as YAML, by kind and name, without what may differ.
func pared(t *testing.T, r rendering) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, document := range r.documents {
		var object map[string]any
		noError(t, yaml.Unmarshal(document, &object))
		if object["kind"] == "Namespace" {
			continue // which Helm's user makes, with --create-namespace
		}
		metadata := object["metadata"].(map[string]any)
		delete(metadata, "namespace")
		switch labels := metadata["labels"].(map[string]any); object["kind"] {
		case "ConfigMap": // kustomize's generator doesn't know the name
			delete(labels, "app.kubernetes.io/name")
		case "HorizontalPodAutoscaler", "HTTPRoute", "Ingress", "ServiceMonitor": // an overlay would label them
			delete(labels, "app.kubernetes.io/part-of")
			delete(labels, "app.kubernetes.io/version")
		}
		object = alike(object).(map[string]any)
		name := fmt.Sprint(object["kind"], " ", object["metadata"].(map[string]any)["name"])
		text, err := yaml.Marshal(object)
		if err != nil || all[name] != "" {
			t.Fatalf("%s is there twice, or: %v", name, err)
		}
		all[name] = string(text)
	}
	return all
}

// alike removes, at any depth, labels that only Helm gives and hashes of the configuration.
func alike(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for _, only := range []string{"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart", "checksum/config"} {
			delete(v, only)
		}
		for key, member := range v {
			v[key] = alike(member)
			if annotations, ok := v[key].(map[string]any); ok && key == "annotations" && len(annotations) == 0 {
				delete(v, key)
			}
		}
	case []any:
		for i := range v {
			v[i] = alike(v[i])
		}
	case string:
		if hash.MatchString(v) {
			return "webhook-bridge"
		}
	}
	return value
}
