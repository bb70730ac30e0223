package app

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func (b *bridge) setLevel(body string) (int, string) {
	b.t.Helper()
	request, err := http.NewRequest(http.MethodPut, "http://"+b.AdminAddr()+"/log/level", strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(answer))
}

// The log's level can be changed while the bridge runs, by zap's own handler.
func TestLogLevel(t *testing.T) {
	b := start(t)
	deliver := func(id string) {
		t.Helper()
		body := flockBody(id, "")
		if a := b.post("flock", body, flockHeader(t, body)); a.StatusCode != http.StatusOK {
			t.Fatal(a.body)
		}
	}
	if _, text := b.admin("/log/level"); !strings.Contains(text, `{"level":"debug"}`) {
		t.Errorf("GET: %s", text)
	}
	deliver("a")
	b.await("logged", func() bool { return len(b.lines("delivery accepted")) == 1 })
	if status, text := b.setLevel(`{"level":"warn"}`); status != http.StatusOK || text != `{"level":"warn"}` {
		t.Errorf("PUT: %d %s", status, text)
	}
	deliver("b")
	b.await("counted", func() bool {
		return b.metric(`webhook_bridge_deliveries_total{endpoint="flock",outcome="stored"}`) == "2"
	})
	if n := len(b.lines("delivery accepted")); n != 1 {
		t.Errorf("%d lines at debug, though the level is warn", n)
	}
	for _, bad := range []string{`{"level":"loud"}`, `x`, `{"level":"` + strings.Repeat("x", 1<<20) + `"}`} {
		if status, text := b.setLevel(bad); status != http.StatusBadRequest {
			t.Errorf("PUT %.20s: %d %s", bad, status, text)
		}
	}
}

// Profiles are there with PPROF=true only.
func TestPPROF(t *testing.T) {
	for value, want := range map[string]int{"false": http.StatusNotFound, "true": http.StatusOK} {
		b := start(t, "PPROF="+value)
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline", "/debug/pprof/profile?seconds=1"} {
			if status, _ := b.admin(path); status != want {
				t.Errorf("PPROF=%s: %s is answered %d, want %d", value, path, status, want)
			}
		}
	}
}
