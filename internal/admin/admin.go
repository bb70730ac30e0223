// Package admin is the admin listener: probes and metrics. It shows nothing that must be hidden,
// and is meant for inside all the same.
package admin

import (
	"encoding/json"
	"log"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Readiness says whether the instance can take events now.
type Readiness struct {
	Reasons []string // why it can't; empty where it can
	Notes   []string // what else somebody should know
}

// Server returns the HTTP server of the admin listener. ready must not wait.
func Server(ready func() Readiness, metrics *prometheus.Registry, logger *log.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]any{"status": "alive"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := ready()
		body := map[string]any{"status": "ready"}
		if len(r.Notes) > 0 {
			body["notes"] = r.Notes
		}
		if len(r.Reasons) > 0 {
			body["status"], body["reasons"] = "not ready", r.Reasons
			reply(w, http.StatusServiceUnavailable, body)
			return
		}
		reply(w, http.StatusOK, body)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{ErrorLog: logger}))
	return &http.Server{Handler: mux, ErrorLog: logger, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // subjects have a >
	_ = encoder.Encode(body)     // a prober that hangs up changes nothing
}
