package k8s

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// objects are a rendering's, by kind.
type objects struct {
	workloads   []*workload
	configs     map[string]*corev1.ConfigMap
	services    []*corev1.Service
	accounts    []*corev1.ServiceAccount
	budgets     []*policyv1.PodDisruptionBudget
	network     []*networkingv1.NetworkPolicy
	autoscalers []*autoscalingv2.HorizontalPodAutoscaler
	namespaces  []*corev1.Namespace
}

// workload is a Deployment or a StatefulSet.
type workload struct {
	kind        string
	name        string
	replicas    *int32
	template    *corev1.PodTemplateSpec
	deployment  *appsv1.Deployment
	statefulSet *appsv1.StatefulSet
}

// pod is the workload's pod.
func (w *workload) pod() *corev1.PodSpec { return &w.template.Spec }

// main is its first container.
func (w *workload) main() *corev1.Container { return &w.template.Spec.Containers[0] }

// read reads the objects that the policies need, and refuses unknown fields.
func read(t *testing.T, r rendering) *objects {
	t.Helper()
	o := &objects{configs: make(map[string]*corev1.ConfigMap)}
	for _, document := range r.documents {
		var meta metav1.TypeMeta
		noError(t, yaml.Unmarshal(document, &meta))
		switch meta.Kind {
		case "Deployment":
			d := decode[appsv1.Deployment](t, document)
			o.workloads = append(o.workloads, &workload{meta.Kind, d.Name, d.Spec.Replicas, &d.Spec.Template, d, nil})
		case "StatefulSet":
			s := decode[appsv1.StatefulSet](t, document)
			o.workloads = append(o.workloads, &workload{meta.Kind, s.Name, s.Spec.Replicas, &s.Spec.Template, nil, s})
		case "ConfigMap":
			c := decode[corev1.ConfigMap](t, document)
			o.configs[c.Name] = c
		case "Service":
			o.services = append(o.services, decode[corev1.Service](t, document))
		case "ServiceAccount":
			o.accounts = append(o.accounts, decode[corev1.ServiceAccount](t, document))
		case "PodDisruptionBudget":
			o.budgets = append(o.budgets, decode[policyv1.PodDisruptionBudget](t, document))
		case "NetworkPolicy":
			o.network = append(o.network, decode[networkingv1.NetworkPolicy](t, document))
		case "HorizontalPodAutoscaler":
			o.autoscalers = append(o.autoscalers, decode[autoscalingv2.HorizontalPodAutoscaler](t, document))
		case "Namespace":
			o.namespaces = append(o.namespaces, decode[corev1.Namespace](t, document))
		case "Secret", "Ingress", "HTTPRoute", "ServiceMonitor", "PrometheusRule": // the schemas are enough
		default:
			t.Errorf("%s: no policy knows the kind %s", r.name, meta.Kind)
		}
	}
	if o.bridge() == nil {
		t.Fatalf("%s: there is no bridge", r.name)
	}
	return o
}

// bridge is the bridge's workload.
func (o *objects) bridge() *workload {
	for _, w := range o.workloads {
		if w.name == "webhook-bridge" {
			return w
		}
	}
	return nil
}
