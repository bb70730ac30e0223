package telemetry

import (
	"encoding/json"
	"log"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Readiness reports whether the instance can take events now.
type Readiness struct {
	Reasons []string // why it can't; empty where it can
	Notes   []string // what else somebody should know
}

// AdminConfig is what the admin listener serves.
type AdminConfig struct {
	Ready   func() Readiness // must not wait
	Metrics *prometheus.Registry
	Level   http.Handler // shows and changes the log's level
	PPROF   bool         // serve profiles
	Log     *log.Logger
}

// AdminServer returns the HTTP server of the admin listener.
func AdminServer(c AdminConfig) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]any{"status": "alive"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := c.Ready()
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
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.Metrics, promhttp.HandlerOpts{ErrorLog: c.Log}))
	mux.Handle("GET /log/level", c.Level)
	mux.Handle("PUT /log/level", http.MaxBytesHandler(c.Level, 1<<10))
	server := &http.Server{Handler: mux, ErrorLog: c.Log, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
	if c.PPROF {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		server.WriteTimeout = 5 * time.Minute // a profile may be one of minutes
	}
	return server
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // subjects have a >
	_ = encoder.Encode(body)     // a prober that hangs up changes nothing
}
