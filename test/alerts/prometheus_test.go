//go:build alerts

package alerts

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
)

const observability = "../../deploy/observability/"

// hasty maps the times in the rules to shorter ones, so that no alert takes half an hour. The
// expressions stay.
var hasty = []struct{ was, is string }{
	{`for: \w+`, `for: 1s`},
	{`\[\d+[mhd]\]`, `[12s]`},
	{`> 6 \* 3600`, `> 20`},
	{`_seconds > 300`, `_seconds > 3`},
}

// prometheus is a running Prometheus that scrapes the bridges each second.
type prometheus struct{ url string }

func startPrometheus(t *testing.T, bridges ...*bridge) *prometheus {
	t.Helper()
	rules, err := os.ReadFile(observability + "alerts.yaml")
	expect.NoError(t, err)
	for _, h := range hasty {
		pattern := regexp.MustCompile(h.was)
		if !pattern.Match(rules) {
			t.Fatalf("no rule has %s any more", h.was)
		}
		rules = pattern.ReplaceAll(rules, []byte(h.is))
	}
	var targets []string
	for _, b := range bridges {
		targets = append(targets, fmt.Sprintf("'%s'", b.admin))
	}
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [alerts.yaml]\nscrape_configs: [{job_name: bridge, static_configs: [{targets: [%s]}]}]\n", strings.Join(targets, ","))
	write(t, filepath.Join(dir, "alerts.yaml"), string(rules))
	write(t, filepath.Join(dir, "prometheus.yaml"), config)
	addr := natsdtest.FreeAddr(t)
	start(t, nil, "prometheus", "--config.file="+filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	p := &prometheus{"http://" + addr}
	eventually(t, "Prometheus is ready", func() bool {
		answer, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return p
}

// firing lists the names of the alerts that fire now.
func (p *prometheus) firing(t *testing.T) map[string]bool {
	t.Helper()
	var said struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	p.ask(t, "/api/v1/alerts", &said)
	names := make(map[string]bool)
	for _, a := range said.Data.Alerts {
		if a.State == "firing" {
			names[strings.TrimPrefix(a.Labels["alertname"], "WebhookBridge")] = true
		}
	}
	return names
}

// query evaluates an expression, and returns how many series it has. It fails where Prometheus can't.
func (p *prometheus) query(t *testing.T, expression string) int {
	t.Helper()
	var said struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	p.ask(t, "/api/v1/query?query="+url.QueryEscape(expression), &said)
	if said.Status != "success" {
		t.Fatalf("Prometheus can't evaluate %s: %s", expression, said.Error)
	}
	return len(said.Data.Result)
}

func (p *prometheus) ask(t *testing.T, path string, said any) {
	t.Helper()
	answer, err := http.Get(p.url + path)
	expect.NoError(t, err)
	defer answer.Body.Close()
	expect.NoError(t, json.NewDecoder(answer.Body).Decode(said))
}

// fires waits until the alerts fire. It calls cause, if there is one, again and again meanwhile.
func (p *prometheus) fires(t *testing.T, cause func(), names ...string) {
	t.Helper()
	p.await(t, "fires", cause, func(firing map[string]bool, name string) bool { return firing[name] }, names)
}

// resolves waits until they no longer fire.
func (p *prometheus) resolves(t *testing.T, remedy func(), names ...string) {
	t.Helper()
	p.await(t, "resolves", remedy, func(firing map[string]bool, name string) bool { return !firing[name] }, names)
}

func (p *prometheus) await(t *testing.T, what string, do func(), is func(map[string]bool, string) bool, names []string) {
	t.Helper()
	done := make(map[string]bool)
	eventually(t, fmt.Sprintf("%v: %s", names, what), func() bool {
		if do != nil {
			do()
		}
		firing := p.firing(t)
		for _, name := range names {
			if is(firing, name) && !done[name] {
				done[name] = true
				t.Logf("%s %s", name, what)
				seen.Store(name, true)
			}
		}
		return len(done) == len(names)
	})
}
