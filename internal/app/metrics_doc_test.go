package app

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/relay"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/test/markdown"
)

const observability = "../../deploy/observability/"

// allMetrics returns the metrics of a bridge. Their values can't be read.
func allMetrics() *telemetry.Metrics {
	m := telemetry.NewMetrics("")
	new(App).addGauges(m)
	return m
}

// docs/metrics.md is made from the code.
func TestMetricsDocument(t *testing.T) {
	var out bytes.Buffer
	out.WriteString("# Metrics\n\n<!-- made from the code: go generate ./... -->\n\n")
	out.WriteString(markdown.Wrap("`/metrics` on `ADMIN_ADDR` has these, Go's own (`go_*`) and the process's (`process_*`). Labels are in brackets; "+
		"none holds what an unauthenticated sender chose. `deploy/observability` has a dashboard and alerts.", "") + "\n")
	for _, d := range describe(allMetrics()) {
		var labels []string
		for _, label := range d.Labels {
			name, values, fixed := strings.Cut(label, "=")
			if fixed && name != "version" && name != "goversion" && name != "endpoint" && name != "kind" && name != "cause" {
				name += ": " + strings.ReplaceAll(values, "|", ", ")
			}
			labels = append(labels, name)
		}
		of := ""
		if labels != nil {
			of = " (" + strings.Join(labels, "; ") + ")"
		}
		out.WriteString(markdown.Item(fmt.Sprintf("`%s`%s: %s", d.Name, of, d.Help)))
	}
	out.WriteString("\n" + markdown.Wrap(fmt.Sprintf("A delivery's outcome is `stored`, `duplicate`, `spooled` or `quarantined`, all answered 200, or a "+
		"[refusal](operations.md#answers). A reason for quarantine is %s. A message's kind is event, quarantine or refused. A publish has "+
		"the way `%s` or `%s`, and the outcome `stored`, `duplicate`, `found` (it was stored already) or a "+
		"[cause](operations.md#nats-is-away) of failure.", strings.Join(ingest.Reasons(), ", "), relay.Direct, relay.FromSpool), ""))
	markdown.Generated(t, "../../docs/metrics.md", func(string) string { return out.String() })
}

// docs/operations.md lists each outcome and each cause.
func TestOperationsListsOutcomes(t *testing.T) {
	operations, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	items := regexp.MustCompile("(?m)^- `[^:]*:").FindAllString(string(operations), -1)
	listed := func(name string) bool {
		return slices.ContainsFunc(items, func(item string) bool { return strings.Contains(item, "`"+name+"`") })
	}
	for _, r := range ingest.Refusals {
		if !listed(r.Outcome) {
			t.Errorf("docs/operations.md doesn't list the outcome %s", r.Outcome)
		}
	}
	for _, cause := range publish.Causes {
		if !listed(string(cause)) {
			t.Errorf("docs/operations.md doesn't list the cause %s", cause)
		}
	}
}

var metricName = regexp.MustCompile(`webhook_bridge_[a-z_]+`)

// The dashboard and the alerts use only metrics that exist.
func TestMetricsInUse(t *testing.T) {
	known := []string{"webhook_bridge_"} // the prefix is in a regular expression
	for _, d := range describe(allMetrics()) {
		known = append(known, d.Name)
		if d.Type == "histogram" {
			known = append(known, d.Name+"_bucket", d.Name+"_count", d.Name+"_sum")
		}
	}
	for _, file := range []string{"alerts.yaml", "alerts_test.yaml", "dashboard.json"} {
		text, err := os.ReadFile(observability + file)
		if err != nil {
			t.Fatal(err)
		}
		used := metricName.FindAllString(string(text), -1)
		if len(used) == 0 {
			t.Errorf("%s uses no metric", file)
		}
		for _, name := range used {
			if !slices.Contains(known, name) {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
	}
}

var (
	alertName = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)
	anchor    = regexp.MustCompile(`(?m)^ +runbook_url: \S+docs/runbook\.md#(\w+)$`)
	described = regexp.MustCompile(`(?m)^ +description: "(.*)"$`)
	ignored   = regexp.MustCompile(`(?m)^\*\*(If ignored:)\*\*((?:.+\n)+)`)
	mdLink    = regexp.MustCompile(`\[([^]]+)\]\([^)]+\)`)
)

// The runbook has an entry for every alert, and no other. Its last sentence is the alert's description.
func TestRunbook(t *testing.T) {
	rules, err := os.ReadFile(observability + "alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	runbook, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	var alerts, links, entries []string
	for _, m := range alertName.FindAllStringSubmatch(string(rules), -1) {
		alerts = append(alerts, m[1])
	}
	for _, m := range anchor.FindAllStringSubmatch(string(rules), -1) {
		links = append(links, m[1])
	}
	for line := range strings.Lines(string(runbook)) {
		if name, ok := strings.CutPrefix(line, "## WebhookBridge"); ok {
			entries = append(entries, "WebhookBridge"+strings.TrimSpace(name))
		}
	}
	if diff := cmp.Diff(alerts, entries); diff != "" || len(alerts) == 0 {
		t.Errorf("(-alerts +runbook)\n%s", diff)
	}
	for i := range alerts {
		if i >= len(links) || links[i] != strings.ToLower(alerts[i]) {
			t.Errorf("%s: its runbook_url doesn't lead to it", alerts[i])
		}
	}
	var descriptions, sentences []string
	for _, m := range described.FindAllStringSubmatch(string(rules), -1) {
		descriptions = append(descriptions, m[1])
	}
	for _, m := range ignored.FindAllStringSubmatch(mdLink.ReplaceAllString(string(runbook), "$1"), -1) {
		sentences = append(sentences, strings.Join(strings.Fields(m[1]+m[2]), " "))
	}
	if diff := cmp.Diff(sentences, descriptions); diff != "" || len(sentences) != len(alerts) {
		t.Errorf("(-runbook +descriptions of the %d alerts)\n%s", len(alerts), diff)
	}
}

var (
	message = regexp.MustCompile("`([\\w',-]+(?: [\\w',-]+){2,})`")                         // three words or more
	command = regexp.MustCompile(`^(nats|bridge|kubectl) `)                                 // not a log line
	grepped = regexp.MustCompile(`kubectl logs POD \| grep (?:-E )?['"]"?([\w' ]{5,})['"]`) // searched for in the log
)

// Each log line in the runbook is listed in operations.md and is in the code.
func TestRunbooksLogLines(t *testing.T) {
	read := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var code strings.Builder
	if err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			code.WriteString(read(path))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	runbook := strings.Join(strings.Fields(read("../../docs/runbook.md")), " ")
	operations := strings.Join(strings.Fields(read("../../docs/operations.md")), " ")
	var lines []string
	for _, m := range append(message.FindAllStringSubmatch(runbook, -1), grepped.FindAllStringSubmatch(runbook, -1)...) {
		if !command.MatchString(m[1]) {
			lines = append(lines, m[1])
		}
	}
	if len(lines) < 8 {
		t.Errorf("the runbook has only these log lines: %q", lines)
	}
	for _, line := range lines {
		if !strings.Contains(operations, line) || !strings.Contains(code.String(), line) {
			t.Errorf("there is no log line %q, or docs/operations.md doesn't list it", line)
		}
	}
}
