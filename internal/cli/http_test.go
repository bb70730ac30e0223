package cli

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// A send error says what to do.
func TestHints(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	unknown := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host"}
	}}
	greeting, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = greeting.Close() }()
	go func() {
		for {
			conn, err := greeting.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, `INFO {"server_id":"x"}`+"\r\n")
		}
	}()
	client := http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{Resolver: unknown}).DialContext}}
	for url, want := range map[string]string{
		strings.Replace(plain.URL, "http:", "https:", 1): "; there is no TLS: give --url http://…",
		"http://" + silent.Addr().String():               "; does --url name the bridge, and does a firewall let it through?",
		"http://bridge.invalid":                          "; check the name in --url",
		"http://" + greeting.Addr().String():             `": the server there doesn't speak HTTP: it may be NATS, or need https://`,
		"https://" + greeting.Addr().String():            `": the server there doesn't speak HTTP: it may be NATS`,
	} {
		client.Timeout = bound
		if strings.HasSuffix(url, silent.Addr().String()) {
			client.Timeout = 200 * time.Millisecond
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = exchange(&client, request); err == nil || !strings.HasSuffix(withHint(err).Error(), want) {
			t.Errorf("%s: %v, want …%s", url, withHint(err), want)
		}
	}
}

// The error for an answer that no bridge gives says what to do. The target of a redirect doesn't get the
// signed delivery.
func TestAnswersOfOthers(t *testing.T) {
	t.Parallel()
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the redirect was followed: %v", r.Header) }))
	defer target.Close()
	const redirected = "; a redirect isn't followed: give its target as --url, such as https://…\n"
	for code, want := range map[int]string{
		http.StatusMovedPermanently: redirected, http.StatusFound: redirected, http.StatusSeeOther: redirected,
		http.StatusTemporaryRedirect: redirected, http.StatusPermanentRedirect: redirected,
		http.StatusBadGateway:     "; a proxy answered: it can't reach the bridge\n",
		http.StatusGatewayTimeout: "; a proxy answered: it can't reach the bridge\n",
	} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", target.URL)
			w.WriteHeader(code)
		}))
		var stderr strings.Builder
		status := run(t.Context(), []string{"send", "flock", "--url", other.URL}, program{[]string{"FLOCK_SECRETS=hush"}, nil, t.Output(), &stderr})
		other.Close()
		if status != exitFailure || !strings.HasSuffix(stderr.String(), want) {
			t.Errorf("answered %d: exit status %d, %s", code, status, stderr.String())
		}
	}
}

// If the admin listener refuses the name in ADMIN_ADDR, the error doesn't say that another program listens.
func TestHealthByName(t *testing.T) {
	t.Parallel()
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "on loopback, the Host must be an address", http.StatusForbidden)
	}))
	defer admin.Close()
	var stderr strings.Builder
	status := run(t.Context(), []string{"health"}, program{environ: []string{"ADMIN_ADDR=" + admin.Listener.Addr().String()}, out: io.Discard, err: &stderr})
	if status != exitFailure || !strings.HasSuffix(stderr.String(), "/readyz answers 403 Forbidden: on loopback, the Host must be an address\n") {
		t.Errorf("exit status %d, %s", status, stderr.String())
	}
}

// A listener on all addresses is reached on this machine.
func TestLocal(t *testing.T) {
	for address, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "127.0.0.1:8080",
		"127.0.0.2:8080": "127.0.0.2:8080", "[::1]:8080": "[::1]:8080", "bridge.internal:8080": "bridge.internal:8080",
	} {
		expect.Equal(t, want, local(address), "local(%s)", address)
	}
}
