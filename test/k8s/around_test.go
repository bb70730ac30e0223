package k8s

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// rollout never leaves nobody to answer.
func rollout(_ *testing.T, o *objects) (wrong []string) {
	w := o.bridge()
	least := w.replicas
	for _, a := range o.autoscalers {
		least = a.Spec.MinReplicas
	}
	if least == nil || *least < 2 {
		wrong = append(wrong, "there may be a single bridge")
	}
	if w.deployment != nil {
		if r := w.deployment.Spec.Strategy.RollingUpdate; r == nil || r.MaxUnavailable == nil || r.MaxUnavailable.String() != "0" {
			wrong = append(wrong, "maxUnavailable is not 0")
		}
	}
	return wrong
}

// spread is over zones and nodes; with a volume each, never two on a node.
func spread(_ *testing.T, o *objects) (wrong []string) {
	if affinity := o.bridge().pod().Affinity; affinity != nil {
		apart := false
		for _, term := range affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			apart = apart || term.TopologyKey == corev1.LabelHostname && selects(term.LabelSelector, o.bridge())
		}
		if !apart {
			wrong = append(wrong, "two instances may be on one node")
		}
	}
	for _, key := range []string{corev1.LabelTopologyZone, corev1.LabelHostname} {
		n := 0
		for _, c := range o.bridge().pod().TopologySpreadConstraints {
			if c.TopologyKey == key && selects(c.LabelSelector, o.bridge()) {
				n++
			}
		}
		if n != 1 {
			wrong = append(wrong, fmt.Sprintf("%d constraints for %s", n, key))
		}
	}
	return wrong
}

// disruption is bounded, and not forbidden: a node can be drained.
func disruption(_ *testing.T, o *objects) (wrong []string) {
	n := 0
	for _, b := range o.budgets {
		if !selects(b.Spec.Selector, o.bridge()) {
			continue
		}
		n++
		if b.Spec.MaxUnavailable == nil || b.Spec.MaxUnavailable.IntValue() != 1 {
			wrong = append(wrong, "the budget isn't one pod at a time")
		}
		want := "IfHealthyBudget"
		if o.bridge().statefulSet != nil {
			want = "AlwaysAllow"
		}
		if p := b.Spec.UnhealthyPodEvictionPolicy; p == nil || string(*p) != want {
			wrong = append(wrong, "unhealthyPodEvictionPolicy isn't "+want)
		}
	}
	if n != 1 {
		wrong = append(wrong, fmt.Sprintf("%d budgets", n))
	}
	return wrong
}

// services reach pods, and the bridge's public one nothing but the public port.
func services(_ *testing.T, o *objects) (wrong []string) {
	for _, s := range o.services {
		n := 0
		for _, w := range o.workloads {
			if !labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(w.template.Labels)) {
				continue
			}
			n++
			for _, p := range s.Spec.Ports {
				if port(w.main(), p.TargetPort.StrVal) == 0 {
					wrong = append(wrong, fmt.Sprintf("Service %s: there is no port %s", s.Name, p.TargetPort.String()))
				}
				if s.Name == "webhook-bridge" && p.TargetPort.StrVal != "http" {
					wrong = append(wrong, "the public Service has the port "+p.TargetPort.String())
				}
			}
		}
		if n != 1 {
			wrong = append(wrong, fmt.Sprintf("Service %s has %d workloads", s.Name, n))
		}
		if s.Spec.Type != "" && s.Spec.Type != corev1.ServiceTypeClusterIP {
			wrong = append(wrong, "Service "+s.Name+" can be reached from outside")
		}
	}
	if s := o.bridge().statefulSet; s != nil && !slices.ContainsFunc(o.services, func(v *corev1.Service) bool { return v.Name == s.Spec.ServiceName && v.Spec.ClusterIP == "None" }) {
		wrong = append(wrong, "the StatefulSet's Service is not there, or not headless")
	}
	return wrong
}

// network checks that only the documented connections are allowed.
func network(_ *testing.T, o *objects) (wrong []string) {
	for _, w := range o.workloads {
		n := 0
		for _, p := range o.network {
			if !selects(&p.Spec.PodSelector, w) {
				continue
			}
			if len(p.Spec.PolicyTypes) == 2 { // others add to it
				n++
			}
			for _, r := range p.Spec.Ingress {
				if len(r.From) == 0 || len(r.Ports) != 1 || r.Ports[0].Port == nil || port(w.main(), r.Ports[0].Port.StrVal) == 0 {
					wrong = append(wrong, fmt.Sprintf("%s lets in more than is said: %v", p.Name, r))
				}
			}
			for _, r := range p.Spec.Egress {
				if len(r.To) == 0 || len(r.Ports) == 0 || slices.ContainsFunc(r.Ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port == nil }) {
					wrong = append(wrong, fmt.Sprintf("%s lets out more than is said: %v", p.Name, r))
				}
				for _, to := range r.To {
					if s := to.NamespaceSelector; s != nil && len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
						wrong = append(wrong, p.Name+" lets out to every namespace")
					}
				}
			}
		}
		if n != 1 {
			wrong = append(wrong, fmt.Sprintf("%s has %d NetworkPolicies for both directions", w.name, n))
		}
	}
	return wrong
}

// secrets checks that secrets are files that nobody else can read, and that a missing Secret
// prevents the start.
func secrets(_ *testing.T, o *objects) (wrong []string) {
	vars, err := o.environment()
	if err != nil {
		return []string{err.Error()}
	}
	for name, value := range vars {
		if strings.HasSuffix(name, "_SECRETS") || name == "NATS_PASSWORD" && value != passwordOfSecret || name == "NATS_TOKEN" {
			wrong = append(wrong, name+" is in the environment")
		}
	}
	n := 0
	for _, v := range o.bridge().pod().Volumes {
		if v.Secret == nil {
			continue
		}
		n++
		if v.Secret.Optional != nil && *v.Secret.Optional {
			wrong = append(wrong, "the Secret "+v.Secret.SecretName+" is optional")
		}
		if v.Secret.DefaultMode == nil || *v.Secret.DefaultMode&0o007 != 0 {
			wrong = append(wrong, "the Secret "+v.Secret.SecretName+" can be read by all")
		}
	}
	if n == 0 {
		wrong = append(wrong, "no Secret is mounted")
	}
	return wrong
}

// labelled is every object, as Kubernetes recommends; a part's version is that of its image.
func labelled(_ *testing.T, o *objects) (wrong []string) {
	for _, w := range o.workloads {
		for _, name := range []string{"name", "part-of", "version", "component"} {
			if name == "part-of" && w.name != "webhook-bridge" {
				continue // the overlay's to say
			}
			if w.template.Labels["app.kubernetes.io/"+name] == "" {
				wrong = append(wrong, w.name+" has no label "+name)
			}
		}
		if _, tag, _ := strings.Cut(w.main().Image, ":"); tag != w.template.Labels["app.kubernetes.io/version"] {
			wrong = append(wrong, fmt.Sprintf("%s has the image %s and the version %s", w.name, w.main().Image, w.template.Labels["app.kubernetes.io/version"]))
		}
		if w.main().TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError {
			wrong = append(wrong, w.name+" doesn't say why it ended")
		}
	}
	return wrong
}

// autoscaling has a Deployment, and takes its time to scale down.
func autoscaling(_ *testing.T, o *objects) (wrong []string) {
	for _, a := range o.autoscalers {
		w := o.bridge()
		if w.deployment == nil || a.Spec.ScaleTargetRef.Kind != w.kind || a.Spec.ScaleTargetRef.Name != w.name {
			wrong = append(wrong, "what it scales is not there, or is no Deployment")
		}
		if w.replicas != nil {
			wrong = append(wrong, "the Deployment sets the number, too")
		}
		b := a.Spec.Behavior
		if b == nil || b.ScaleDown == nil || b.ScaleDown.StabilizationWindowSeconds == nil || *b.ScaleDown.StabilizationWindowSeconds != 3600 {
			wrong = append(wrong, "scaling down is not stabilised for an hour")
		}
	}
	return wrong
}
