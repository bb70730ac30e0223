package telemetry

import (
	"encoding/json"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// Readiness reports whether the instance can take events now.
type Readiness struct {
	Notes   []string `json:"notes,omitempty"`   // problems with which it still can
	Reasons []string `json:"reasons,omitempty"` // why it can't; empty if it can
	Status  string   `json:"status"`            // in words; [AdminServer] sets it
}

// AdminServer returns the HTTP server of the admin listener. It bounds the time and size of
// requests; the listener bounds the number of connections. ready must not wait.
func AdminServer(ready func() Readiness, metrics *prometheus.Registry, logger *Logger, profiles bool, errorLog *log.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, Readiness{Status: "alive"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r, code := ready(), http.StatusOK
		if r.Status = "ready"; len(r.Reasons) > 0 {
			r.Status, code = "not ready", http.StatusServiceUnavailable
		}
		reply(w, code, r)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{ErrorLog: errorLog}))
	mux.Handle("GET /log/level", logger.Level)
	mux.Handle("PUT /log/level", http.MaxBytesHandler(http.HandlerFunc(logger.changeLevel), 1<<10))
	server := &http.Server{
		Handler: localOnly(withoutRedirects(mux)), ErrorLog: errorLog, MaxHeaderBytes: 8 << 10,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	if profiles {
		mux.Handle("GET /debug/pprof/", http.DefaultServeMux) // where the package pprof registers all but the next
		mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
		server.WriteTimeout = 5 * time.Minute // a profile may take minutes
	}
	return server
}

// changeLevel changes the level by zap's own handler. It logs the change at any level, so that the log
// shows when it was turned off.
func (l *Logger) changeLevel(w http.ResponseWriter, r *http.Request) {
	before := l.Level.Level()
	l.Level.ServeHTTP(w, r)
	if after := l.Level.Level(); after != before {
		l.always.Warn("log level changed", zap.Stringer("from", before), zap.Stringer("to", after), zap.String("remote", r.RemoteAddr))
	}
}

// localOnly guards the admin listener on loopback from web pages. It refuses a Host that is a name other than
// localhost: the name could resolve to 127.0.0.1 (DNS rebinding). It also refuses requests by other sites'
// pages, except links: a page couldn't read the answers, but could begin profiles.
func localOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		isOtherSites := strings.HasSuffix(r.Header.Get("Sec-Fetch-Site"), "-site") // cross-site or same-site
		switch isLocal := ok && at.IP.IsLoopback(); {
		case isLocal && !IsAddress(r.Host):
			http.Error(w, "on loopback, the Host must be an address or localhost, such as 127.0.0.1:9090", http.StatusForbidden)
		case isLocal && isOtherSites && r.Header.Get("Sec-Fetch-Dest") != "document":
			http.Error(w, "on loopback, other sites' pages can only link here", http.StatusForbidden)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// withoutRedirects answers 404 if the path isn't clean, such as //livez. The mux would redirect to the
// clean one, which not every probe follows.
func withoutRedirects(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.TrimSuffix(r.URL.Path, "/") != strings.TrimSuffix(path.Clean(r.URL.Path), "/") {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// IsAddress reports whether a Host, with a port or without, is an IP address, localhost or empty.
// DNS can't rebind the first two, and no browser leaves the Host out.
func IsAddress(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || host == "" || strings.EqualFold(host, "localhost")
}

func reply(w http.ResponseWriter, code int, body Readiness) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // subjects have a >
	_ = encoder.Encode(body)     // a prober that hangs up changes nothing
}
