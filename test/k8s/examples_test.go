package k8s

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// example returns the documents of a file in deploy/k8s/examples.
func example(t *testing.T, name string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy/k8s/examples", name))
	noError(t, err)
	return split(t, text)
}

func TestExamples(t *testing.T) {
	all := schemas(t)
	for _, path := range directories(t, "examples") {
		for _, document := range example(t, filepath.Base(path)) {
			for version, v := range all {
				if err := validate(v, document); err != nil {
					t.Errorf("%s, Kubernetes %s: %v:\n%s", path, version, err, document)
				}
			}
		}
	}
}

// A trigger's metadata are plain text in the schema. The names are in KEDA's own code.
func TestKEDATrigger(t *testing.T) {
	var object struct {
		Spec struct {
			Triggers []struct {
				Type     string
				Metadata map[string]string
			}
		}
	}
	noError(t, yaml.Unmarshal(example(t, "keda.yaml")[0], &object))
	code, err := os.ReadFile(filepath.Join(download(t, keda), "pkg/scalers/nats_jetstream_scaler.go"))
	noError(t, err)
	trigger := object.Spec.Triggers[0]
	if trigger.Type != "nats-jetstream" {
		t.Errorf("the trigger is a %s", trigger.Type)
	}
	var names []string
	for _, tag := range regexp.MustCompile("keda:\"name=(\\w+),([^\"]*)\"").FindAllStringSubmatch(string(code), -1) {
		names = append(names, tag[1])
		optional := strings.Contains(tag[2], "optional") || strings.Contains(tag[2], "default=")
		if trigger.Metadata[tag[1]] == "" && !optional {
			t.Errorf("the trigger has no %s", tag[1])
		}
	}
	if len(names) < 5 {
		t.Fatalf("KEDA's code has only the names %q", names)
	}
	for name := range trigger.Metadata {
		if !slices.Contains(names, name) {
			t.Errorf("KEDA doesn't know %s", name)
		}
	}
}

// ingress-nginx ignores unknown annotations. The names are in its own code.
func TestNginxAnnotations(t *testing.T) {
	const prefix = "nginx.ingress.kubernetes.io/"
	files, err := filepath.Glob(filepath.Join(download(t, ingressNginx), "internal/ingress/annotations/*/main.go"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files with annotations: %v", len(files), err)
	}
	var code strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		noError(t, err)
		code.Write(text)
	}
	ingress := decode[networkingv1.Ingress](t, example(t, "ingress-nginx.yaml")[0])
	for name := range ingress.Annotations {
		short, ok := strings.CutPrefix(name, prefix)
		if !ok || !regexp.MustCompile(`= +"`+short+`"`).MatchString(code.String()) {
			t.Errorf("ingress-nginx doesn't know %s", name)
		}
	}
	for name, want := range map[string]string{"proxy-body-size": "512k", "proxy-next-upstream": "off"} {
		if got := ingress.Annotations[prefix+name]; got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
}

// The alerts and the dashboard in the components are those of deploy/observability.
func TestObservability(t *testing.T) {
	rules, boards := 0, 0
	for _, r := range renderings(t) {
		for _, document := range r.documents {
			var object struct {
				Kind string
				Spec map[string]any
				Data map[string]string
			}
			noError(t, yaml.Unmarshal(document, &object))
			switch board := object.Data["webhook-bridge.json"]; {
			case object.Kind == "PrometheusRule":
				rules++
				var want map[string]any
				noError(t, yaml.Unmarshal([]byte(observability(t, "alerts.yaml")), &want))
				if !reflect.DeepEqual(object.Spec, want) {
					t.Error("prometheusrule.yaml is not of alerts.yaml: run its generate")
				}
			case board != "":
				boards++
				if board != observability(t, "dashboard.json") {
					t.Errorf("%s has another dashboard", r.name)
				}
			}
		}
	}
	if rules == 0 || boards == 0 {
		t.Errorf("%d PrometheusRules and %d dashboards were found", rules, boards)
	}
}

func observability(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy/observability", name))
	noError(t, err)
	return string(text)
}
