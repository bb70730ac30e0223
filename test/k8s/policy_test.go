package k8s

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// policies must hold in every rendering. Each returns the violation.
var policies = map[string]func(*testing.T, *objects) []string{
	"configuration": configuration,
	"restricted":    restricted,
	"hardened":      hardened,
	"resources":     resources,
	"room":          room,
	"grace":         grace,
	"probes":        probes,
	"rollout":       rollout,
	"spread":        spread,
	"disruption":    disruption,
	"services":      services,
	"network":       network,
	"secrets":       secrets,
	"autoscaling":   autoscaling,
	"labelled":      labelled,
}

func TestPolicies(t *testing.T) {
	for _, r := range renderings(t) {
		o := read(t, r)
		for name, check := range policies {
			for _, wrong := range check(t, o) {
				t.Errorf("%s: %s: %s", r.name, name, wrong)
			}
		}
	}
}

// configuration is what the bridge itself says of its variables, misspelt ones included.
func configuration(t *testing.T, o *objects) (wrong []string) {
	c, err := o.load(t)
	if err != nil {
		return []string{err.Error()}
	}
	if c["NATS_URL"] == "" {
		wrong = append(wrong, "NATS_URL is not set: each pod would keep a store of its own")
	}
	for name, listens := range map[string]int32{"http": c.port("HTTP_ADDR"), "admin": c.port("ADMIN_ADDR")} {
		if p := port(o.bridge().main(), name); p != listens {
			wrong = append(wrong, fmt.Sprintf("the port %s is %d and the bridge listens on %d", name, p, listens))
		}
	}
	if !slices.ContainsFunc(o.bridge().main().VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == c["DATA_DIR"] && !m.ReadOnly }) {
		wrong = append(wrong, "DATA_DIR is on no volume: "+c["DATA_DIR"])
	}
	return wrong
}

// restricted is the Pod Security Standard of that name, as the API server's admission judges it.
func restricted(_ *testing.T, o *objects) (wrong []string) {
	judge, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		return []string{err.Error()}
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, w := range o.workloads {
		if r := policy.AggregateCheckResults(judge.EvaluatePod(level, &w.template.ObjectMeta, w.pod())); !r.Allowed {
			wrong = append(wrong, w.name+": "+r.ForbiddenDetail())
		}
	}
	for _, n := range o.namespaces {
		if n.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
			wrong = append(wrong, "namespace "+n.Name+" doesn't enforce restricted")
		}
	}
	return wrong
}

// hardened checks settings that restricted doesn't require.
func hardened(_ *testing.T, o *objects) (wrong []string) {
	for _, w := range o.workloads {
		say := func(what string) { wrong = append(wrong, w.name+": "+what) }
		if p := w.pod().AutomountServiceAccountToken; p == nil || *p {
			say("a service account's token is mounted")
		}
		if p := w.pod().EnableServiceLinks; p == nil || *p {
			say("service links are in the environment")
		}
		for _, c := range w.pod().Containers {
			if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
				say("its root file system can be written")
			}
			if _, tag, ok := strings.Cut(c.Image, ":"); !ok || tag == "latest" {
				say("its image has no version: " + c.Image)
			}
		}
	}
	for _, a := range o.accounts {
		if a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken {
			wrong = append(wrong, "ServiceAccount "+a.Name+" mounts a token")
		}
	}
	if !slices.ContainsFunc(o.accounts, func(a *corev1.ServiceAccount) bool { return a.Name == o.bridge().pod().ServiceAccountName }) {
		wrong = append(wrong, "the bridge has no ServiceAccount of its own")
	}
	return wrong
}

// resources are asked for, and memory and disk are bounded; the CPU isn't, or it would be throttled.
func resources(t *testing.T, o *objects) (wrong []string) {
	for _, w := range o.workloads {
		for _, c := range w.pod().Containers {
			for list, names := range map[*corev1.ResourceList][]corev1.ResourceName{
				&c.Resources.Requests: {corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage},
				&c.Resources.Limits:   {corev1.ResourceMemory, corev1.ResourceEphemeralStorage},
			} {
				for _, name := range names {
					if q, ok := (*list)[name]; !ok || q.IsZero() {
						wrong = append(wrong, fmt.Sprintf("%s: %s is not given", w.name, name))
					}
				}
			}
			if _, ok := c.Resources.Limits[corev1.ResourceCPU]; ok {
				wrong = append(wrong, w.name+": the CPU is limited")
			}
		}
	}
	// Half of the limit must be left for what the bridge may hold. The collector takes its goal from the limit,
	// unless it is given one.
	vars, err := o.environment()
	if err != nil {
		return append(wrong, err.Error())
	}
	limit := o.bridge().main().Resources.Limits.Memory()
	if given := vars["GOMEMLIMIT"]; given != "" {
		if goal, err := resource.ParseQuantity(strings.TrimSuffix(given, "B")); err != nil || goal.Cmp(*limit) >= 0 {
			wrong = append(wrong, fmt.Sprintf("GOMEMLIMIT is %q, with a limit of %s", given, limit))
		}
	}
	if c, err := o.load(t); err == nil && 2*c.bytes("MAX_IN_FLIGHT_BYTES") > limit.Value() {
		wrong = append(wrong, fmt.Sprintf("MAX_IN_FLIGHT_BYTES is more than half of the memory's limit of %s", limit))
	}
	return wrong
}

// room is for a spool twice over, each somewhat larger than what is in it: while it is written anew,
// there are two.
func room(t *testing.T, o *objects) (wrong []string) {
	c, err := o.load(t)
	if err != nil {
		return []string{err.Error()}
	}
	least := *resource.NewQuantity(3*c.bytes("SPOOL_MAX_BYTES"), resource.BinarySI)
	w := o.bridge()
	if w.statefulSet != nil {
		for _, claim := range w.statefulSet.Spec.VolumeClaimTemplates {
			if q := claim.Spec.Resources.Requests.Storage(); claim.Name == "data" && q.Cmp(least) < 0 {
				wrong = append(wrong, fmt.Sprintf("the volume has %s, not %s", q, &least))
			}
		}
		if r := w.statefulSet.Spec.PersistentVolumeClaimRetentionPolicy; r == nil || r.WhenDeleted != "Retain" || r.WhenScaled != "Retain" {
			wrong = append(wrong, "volumes are not retained")
		}
		return wrong
	}
	i := slices.IndexFunc(w.pod().Volumes, func(v corev1.Volume) bool {
		return v.Name == "data" && v.EmptyDir != nil && v.EmptyDir.SizeLimit != nil
	})
	if i < 0 {
		return append(wrong, "there is no volume data with a limit")
	}
	limit := w.pod().Volumes[i].EmptyDir.SizeLimit
	if limit.Cmp(least) < 0 {
		wrong = append(wrong, fmt.Sprintf("the emptyDir has %s, not %s", limit, &least))
	}
	for _, q := range []*resource.Quantity{w.main().Resources.Requests.StorageEphemeral(), w.main().Resources.Limits.StorageEphemeral()} {
		if q.Cmp(*limit) <= 0 {
			wrong = append(wrong, fmt.Sprintf("ephemeral storage is %s, not more than the emptyDir's %s", q, limit))
		}
	}
	return wrong
}

// grace is longer than all that the bridge may take to stop.
func grace(t *testing.T, o *objects) (wrong []string) {
	c, err := o.load(t)
	if err != nil {
		return []string{err.Error()}
	}
	least := c.duration("SHUTDOWN_DELAY") + c.duration("SHUTDOWN_TIMEOUT") + c.duration("SPOOL_DRAIN_TIMEOUT") + 5*time.Second
	if s := o.bridge().pod().TerminationGracePeriodSeconds; s == nil || time.Duration(*s)*time.Second < least {
		wrong = append(wrong, fmt.Sprintf("the grace period is less than %s", least))
	}
	if c.duration("SHUTDOWN_DELAY") < 15*time.Second {
		wrong = append(wrong, "SHUTDOWN_DELAY is less than a load balancer needs")
	}
	if c.duration("SPOOL_DRAIN_TIMEOUT") == 0 {
		wrong = append(wrong, "SPOOL_DRAIN_TIMEOUT is 0: what goes for good takes its spool along")
	}
	if l := o.bridge().main().Lifecycle; l != nil {
		wrong = append(wrong, "there is a lifecycle hook, whose time comes on top")
	}
	return wrong
}

func probes(_ *testing.T, o *objects) (wrong []string) {
	for _, w := range o.workloads {
		c := w.main()
		for name, p := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
			if p == nil || p.HTTPGet == nil || port(c, p.HTTPGet.Port.StrVal) == 0 {
				wrong = append(wrong, w.name+": no "+name+" probe of a named port")
			}
		}
	}
	if c := o.bridge().main(); c.LivenessProbe != nil && c.LivenessProbe.HTTPGet.Path != "/livez" || c.ReadinessProbe != nil && c.ReadinessProbe.HTTPGet.Path != "/readyz" {
		wrong = append(wrong, "a probe asks for something else than /livez and /readyz")
	}
	return wrong
}

// port is a container's by name, or 0.
func port(c *corev1.Container, name string) int32 {
	for _, p := range c.Ports {
		if p.Name == name {
			return p.ContainerPort
		}
	}
	return 0
}

// selects reports whether a selector selects a workload's pods.
func selects(s *metav1.LabelSelector, w *workload) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && !selector.Empty() && selector.Matches(labels.Set(w.template.Labels))
}
