package k8s

import (
	"os"
	"path/filepath"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	api "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// TestDrainJob checks the Job that drains a volume against the schemas, and against its namespace's
// admission.
func TestDrainJob(t *testing.T) {
	document, err := os.ReadFile(filepath.Join(root, "deploy/k8s/drain-job.yaml"))
	noError(t, err)
	for version, v := range schemas(t) {
		if err := validate(v, document); err != nil {
			t.Errorf("Kubernetes %s: %v", version, err)
		}
	}
	var job batchv1.Job
	noError(t, yaml.UnmarshalStrict(document, &job))
	judge, err := policy.NewEvaluator(policy.DefaultChecks())
	noError(t, err)
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	pod := &job.Spec.Template
	if r := policy.AggregateCheckResults(judge.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec)); !r.Allowed {
		t.Error(r.ForbiddenDetail())
	}
	if args := pod.Spec.Containers[0].Args; len(args) != 3 || args[1] != "drain" || args[2] != pod.Spec.Containers[0].VolumeMounts[0].MountPath+"/spool" {
		t.Errorf("it runs %q", args)
	}
}
