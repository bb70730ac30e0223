package k8s

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Each policy finds its violation.
func TestPoliciesSee(t *testing.T) {
	off, on, one := false, true, int32(1)
	set := func(name, value string) func(*objects) {
		return func(o *objects) {
			o.configs[o.bridge().main().EnvFrom[0].ConfigMapRef.Name].Data[name] = value
		}
	}
	everywhere := []string{"base", "overlays/production"}
	deployment, statefulSet := everywhere[:1], everywhere[1:]
	scaled := []string{"base with components/hpa"}
	for _, test := range []struct {
		policy, says string
		in           []string
		spoil        func(*objects)
	}{
		{"configuration", "FLOCK_SECRET ", everywhere, set("FLOCK_SECRET", "x")},
		{"configuration", "SHUTDOWN_DELAY", everywhere, set("SHUTDOWN_DELAY", "15")},
		{"configuration", "NATS_URL is not set", deployment, set("NATS_URL", "")},
		{"configuration", "the port http is 8080", everywhere, set("HTTP_ADDR", ":8081")},
		{"configuration", "DATA_DIR is on no volume", everywhere, set("DATA_DIR", "/elsewhere")},
		{"restricted", "runAsNonRoot", everywhere, func(o *objects) { o.bridge().pod().SecurityContext.RunAsNonRoot = &off }},
		{"restricted", "seccompProfile", everywhere, func(o *objects) { o.bridge().pod().SecurityContext.SeccompProfile = nil }},
		{"restricted", "doesn't enforce", statefulSet, func(o *objects) { o.namespaces[0].Labels = nil }},
		{"hardened", "token is mounted", everywhere, func(o *objects) { o.bridge().pod().AutomountServiceAccountToken = nil }},
		{"hardened", "mounts a token", everywhere, func(o *objects) { o.accounts[0].AutomountServiceAccountToken = &on }},
		{"hardened", "service links", everywhere, func(o *objects) { o.bridge().pod().EnableServiceLinks = nil }},
		{"hardened", "can be written", everywhere, func(o *objects) { o.bridge().main().SecurityContext.ReadOnlyRootFilesystem = &off }},
		{"hardened", "has no version", everywhere, func(o *objects) { o.bridge().main().Image = "webhook-bridge" }},
		{"hardened", "no ServiceAccount of its own", everywhere, func(o *objects) { o.bridge().pod().ServiceAccountName = "" }},
		{"resources", "memory is not given", everywhere, func(o *objects) { delete(o.bridge().main().Resources.Limits, corev1.ResourceMemory) }},
		{"resources", "the CPU is limited", everywhere, func(o *objects) { o.bridge().main().Resources.Limits[corev1.ResourceCPU] = resource.MustParse("1") }},
		{"resources", "GOMEMLIMIT is", everywhere, set("GOMEMLIMIT", "1GiB")},
		{"resources", "MAX_IN_FLIGHT_BYTES", everywhere, set("MAX_IN_FLIGHT_BYTES", "300MiB")},
		{"room", "the emptyDir has", deployment, set("SPOOL_MAX_BYTES", "2GiB")},
		{"room", "ephemeral storage is", deployment, func(o *objects) {
			o.bridge().main().Resources.Limits[corev1.ResourceEphemeralStorage] = resource.MustParse("1Gi")
		}},
		{"room", "the volume has", statefulSet, set("SPOOL_MAX_BYTES", "2GiB")},
		{"room", "not retained", statefulSet, func(o *objects) { o.bridge().statefulSet.Spec.PersistentVolumeClaimRetentionPolicy = nil }},
		{"grace", "the grace period", everywhere, set("SPOOL_DRAIN_TIMEOUT", "61s")},
		{"grace", "SHUTDOWN_DELAY", everywhere, set("SHUTDOWN_DELAY", "0s")},
		{"grace", "SPOOL_DRAIN_TIMEOUT", everywhere, set("SPOOL_DRAIN_TIMEOUT", "0s")},
		{"grace", "lifecycle", everywhere, func(o *objects) { o.bridge().main().Lifecycle = &corev1.Lifecycle{} }},
		{"probes", "no startup probe", everywhere, func(o *objects) { o.bridge().main().StartupProbe = nil }},
		{"probes", "something else", everywhere, func(o *objects) { o.bridge().main().LivenessProbe.HTTPGet.Path = "/readyz" }},
		{"rollout", "a single bridge", deployment, func(o *objects) { o.bridge().deployment.Spec.Replicas, o.bridge().replicas = &one, &one }},
		{"rollout", "a single bridge", scaled, func(o *objects) { o.autoscalers[0].Spec.MinReplicas = nil }},
		{"rollout", "maxUnavailable", deployment, func(o *objects) { o.bridge().deployment.Spec.Strategy.RollingUpdate = nil }},
		{"spread", "hostname", everywhere, func(o *objects) { o.bridge().pod().TopologySpreadConstraints[1].LabelSelector = nil }},
		{"disruption", "0 budgets", everywhere, func(o *objects) { o.budgets = nil }},
		{"disruption", "one pod at a time", everywhere, func(o *objects) { o.budgets[0].Spec.MaxUnavailable = nil }},
		{"disruption", "isn't IfHealthyBudget", deployment, func(o *objects) {
			always := policyv1.AlwaysAllow
			o.budgets[0].Spec.UnhealthyPodEvictionPolicy = &always
		}},
		{"services", "has 0 workloads", everywhere, func(o *objects) { o.services[0].Spec.Selector = map[string]string{"app": "x"} }},
		{"services", "there is no port", everywhere, func(o *objects) { o.services[0].Spec.Ports[0].TargetPort.StrVal = "web" }},
		{"services", "public Service has the port", everywhere, func(o *objects) { o.services[0].Spec.Ports[0].TargetPort.StrVal = "admin" }},
		{"services", "from outside", everywhere, func(o *objects) { o.services[0].Spec.Type = corev1.ServiceTypeLoadBalancer }},
		{"services", "not headless", statefulSet, func(o *objects) { o.bridge().statefulSet.Spec.ServiceName = "webhook-bridge" }},
		{"network", "0 NetworkPolicies", everywhere, func(o *objects) { o.network = nil }},
		{"network", "0 NetworkPolicies for both directions", everywhere, func(o *objects) { o.network[0].Spec.PolicyTypes = nil }},
		{"network", "lets in more", everywhere, func(o *objects) { o.network[0].Spec.Ingress[0].From = nil }},
		{"network", "lets out more", everywhere, func(o *objects) {
			o.network[0].Spec.Egress = append(o.network[0].Spec.Egress, networkingv1.NetworkPolicyEgressRule{})
		}},
		{"network", "every namespace", everywhere, func(o *objects) {
			egress := &o.network[0].Spec.Egress[0]
			egress.To = append(egress.To, networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}})
		}},
		{"secrets", "is in the environment", everywhere, set("FLOCK_SECRETS", "x")},
		{"secrets", "optional", everywhere, func(o *objects) { volume(o).Optional = &on }},
		{"secrets", "read by all", everywhere, func(o *objects) { volume(o).DefaultMode = nil }},
		{"secrets", "is in the environment", statefulSet, set("NATS_TOKEN", "x")},
		{"spread", "two instances may be on one node", statefulSet, func(o *objects) {
			o.bridge().pod().Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution = nil
		}},
		{"labelled", "no label component", everywhere, func(o *objects) { delete(o.bridge().template.Labels, "app.kubernetes.io/component") }},
		{"labelled", "and the version", everywhere, func(o *objects) { o.bridge().main().Image = "webhook-bridge:other" }},
		{"labelled", "doesn't say why", everywhere, func(o *objects) { o.bridge().main().TerminationMessagePolicy = "" }},
		{"autoscaling", "not there", scaled, func(o *objects) { o.autoscalers[0].Spec.ScaleTargetRef.Name = "x" }},
		{"autoscaling", "sets the number", scaled, func(o *objects) { o.bridge().replicas = &one }},
		{"autoscaling", "for an hour", scaled, func(o *objects) { o.autoscalers[0].Spec.Behavior = nil }},
	} {
		for _, r := range renderings(t) {
			for _, in := range test.in {
				if r.name != in {
					continue
				}
				o := read(t, r)
				test.spoil(o)
				if wrong := strings.Join(policies[test.policy](t, o), "\n"); !strings.Contains(wrong, test.says) {
					t.Errorf("%s, %s: got %q; want %q in it", test.policy, in, wrong, test.says)
				}
			}
		}
	}
}

// volume is the first Secret that the bridge mounts.
func volume(o *objects) *corev1.SecretVolumeSource {
	for _, v := range o.bridge().pod().Volumes {
		if v.Secret != nil {
			return v.Secret
		}
	}
	return nil
}
