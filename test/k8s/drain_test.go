package k8s

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	api "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// TestDrainJob checks the Job that drains a volume against the schemas, and against its namespace's
// admission.
func TestDrainJob(t *testing.T) {
	file, err := os.ReadFile(filepath.Join(root, "deploy/k8s/drain-job.yaml"))
	noError(t, err)
	documents := split(t, file)
	for version, v := range schemas(t) {
		for _, document := range documents {
			if err := validate(v, document); err != nil {
				t.Errorf("Kubernetes %s: %v", version, err)
			}
		}
	}
	job, network := decode[batchv1.Job](t, documents[0]), decode[networkingv1.NetworkPolicy](t, documents[1])
	judge, err := policy.NewEvaluator(policy.DefaultChecks())
	noError(t, err)
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	pod := &job.Spec.Template
	if r := policy.AggregateCheckResults(judge.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec)); !r.Allowed {
		t.Error(r.ForbiddenDetail())
	}
	if job.Spec.BackoffLimit == nil || *job.Spec.BackoffLimit < 100 {
		t.Error("while NATS is away, it soon fails and its log is deleted")
	}
	// The documented command names Job and claim, so that several claims have a Job each. A Job's name
	// is also a label, which the longest claim of a chart's release must fit.
	claim := pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName
	longest := strings.ReplaceAll(job.Name, claim, "data-"+strings.Repeat("x", 52)+"-10")
	if !strings.Contains(job.Name, claim) || len(longest) > validation.LabelValueMaxLength {
		t.Errorf("the Job %s drains %s", job.Name, claim)
	}
	if bridge := read(t, render(t, "base", "base")); !selects(&network.Spec.PodSelector, &workload{template: pod}) ||
		!reflect.DeepEqual(network.Spec.Egress, bridge.network[0].Spec.Egress) || len(network.Spec.Ingress) > 0 {
		t.Error("its policy isn't the bridges' egress")
	}
	if args := pod.Spec.Containers[0].Args; len(args) != 3 || args[1] != "drain" || args[2] != pod.Spec.Containers[0].VolumeMounts[0].MountPath+"/spool" {
		t.Errorf("it runs %q", args)
	}
}
