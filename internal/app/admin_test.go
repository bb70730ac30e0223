package app

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

func (b *bridge) setLevel(body string) (int, string) {
	b.t.Helper()
	request, err := http.NewRequest(http.MethodPut, "http://"+b.AdminAddr()+"/log/level", strings.NewReader(body))
	expect.NoError(b.t, err)
	response, err := http.DefaultClient.Do(request)
	expect.NoError(b.t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	expect.NoError(b.t, err)
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
	b.awaitMetric(`webhook_bridge_deliveries_total{endpoint="flock",outcome="stored"} 2`)
	expect.Equal(t, 1, len(b.lines("delivery accepted")), "lines at debug once the level is warn")
	for _, bad := range []string{`{"level":"loud"}`, `x`, `{"level":"` + strings.Repeat("x", 1<<20) + `"}`} {
		if status, text := b.setLevel(bad); status != http.StatusBadRequest {
			t.Errorf("PUT %.20s: %d %s", bad, status, text)
		}
	}
}

// Only PPROF=true serves profiles.
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

// A change of the level is logged at any level.
func TestLogLevelIsLogged(t *testing.T) {
	b := start(t)
	for i, level := range []string{"panic", "panic", "debug"} {
		if status, text := b.setLevel(`{"level":"` + level + `"}`); status != http.StatusOK {
			t.Fatal(status, text)
		}
		if n, want := len(b.lines("log level changed")), []int{1, 1, 2}[i]; n != want {
			t.Errorf("%d lines after %s, want %d", n, level, want)
		}
	}
	if line := b.lines("log level changed")[0]; line["from"] != "debug" || line["to"] != "panic" || line["remote"] == "" {
		t.Errorf("logged %v", line)
	}
}

// A path that isn't clean is answered 404. Not every probe follows a redirect.
func TestAdminPaths(t *testing.T) {
	b := start(t, "PPROF=true")
	for path, want := range map[string]int{
		"/livez": 200, "/metrics": 200, "/debug/pprof/": 200,
		"/": 404, "//": 404, "//livez": 404, "/./livez": 404, "/x/../livez": 404, "/livez/": 404, "/livez//": 404, "//metrics": 404,
	} {
		response, err := http.DefaultTransport.RoundTrip(httptest.NewRequest(http.MethodGet, "http://"+b.AdminAddr()+path, http.NoBody))
		expect.NoError(t, err)
		_ = response.Body.Close()
		expect.Equal(t, want, response.StatusCode, "the answer to %s", path)
	}
}

// A web page can't reach the admin listener on loopback by a name that resolves to 127.0.0.1 (DNS
// rebinding).
func TestAdminHost(t *testing.T) {
	b := start(t)
	_, port, err := net.SplitHostPort(b.AdminAddr())
	expect.NoError(t, err)
	for host, want := range map[string]int{
		"127.0.0.1:" + port: 200, "localhost:" + port: 200, "LOCALHOST": 200, "[::1]:" + port: 200, "10.1.2.3": 200,
		"evil.example:" + port: 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403,
	} {
		request, err := http.NewRequest(http.MethodGet, "http://"+b.AdminAddr()+"/livez", http.NoBody)
		expect.NoError(t, err)
		request.Host = host
		response, err := http.DefaultClient.Do(request)
		expect.NoError(t, err)
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("the Host %s is answered %s, want %d", host, response.Status, want)
		}
	}
}

// On loopback a page of another site can only link to the admin listener: it can't begin profiles unseen.
func TestAdminOtherSites(t *testing.T) {
	b := start(t, "PPROF=true")
	for _, test := range []struct {
		site, dest string
		want       int
	}{
		{"", "", 200}, {"none", "document", 200}, {"same-origin", "empty", 200}, // a tool, an address that was typed, the page itself
		{"cross-site", "document", 200}, {"same-site", "document", 200}, // links
		{"cross-site", "empty", 403}, {"cross-site", "image", 403}, {"same-site", "empty", 403}, {"cross-site", "iframe", 403},
	} {
		request, err := http.NewRequest(http.MethodGet, "http://"+b.AdminAddr()+"/debug/pprof/heap?gc=1", http.NoBody)
		expect.NoError(t, err)
		request.Header.Set("Sec-Fetch-Site", test.site)
		request.Header.Set("Sec-Fetch-Dest", test.dest)
		response, err := http.DefaultClient.Do(request)
		expect.NoError(t, err)
		_ = response.Body.Close()
		expect.Equal(t, test.want, response.StatusCode, "%s %s", test.site, test.dest)
	}
}

// The admin listener stays reachable with any number of requests that stop in the middle, and ends them.
func TestAdminIsBounded(t *testing.T) {
	b := start(t)
	var all []net.Conn
	for i := range 300 {
		c, err := net.Dial("tcp", b.AdminAddr())
		expect.NoError(t, err)
		defer c.Close()
		text := "PUT /log/level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
		if i%2 == 0 {
			text = "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
		}
		expect.NoError(t, expect.Err(io.WriteString(c, text)))
		all = append(all, c)
		if i >= maxAdminConnections && i%50 == 0 {
			if status, _ := b.admin("/livez"); status != http.StatusOK {
				t.Errorf("/livez with %d connections: %d", i, status)
			}
		}
	}
	for _, c := range all {
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("one is open")
		}
	}
	c, err := net.Dial("tcp", b.AdminAddr())
	expect.NoError(t, err)
	defer c.Close()
	expect.NoError(t, expect.Err(io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\n"+strings.Repeat("a:\r\n", 1000))))
	if line, err := bufio.NewReader(c).ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 431 ") {
		t.Errorf("1,000 headers: %q, %v", line, err)
	}
}

// A connection that is refused before there is a request is counted and logged, by kind.
func TestRefusedConnections(t *testing.T) {
	b := start(t)
	c := b.dial()
	c.write("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n")
	if line, err := c.reader.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 400 ") {
		t.Errorf("answered %q, %v", line, err)
	}
	b.awaitMetric(`webhook_bridge_refused_connections_total{kind="proxy_protocol"} 1`)
	expect.Equal(t, "0", b.metric(`webhook_bridge_refused_connections_total{kind="malformed"}`), "connections counted as malformed")
	b.await("advice in the log", func() bool { return strings.Contains(b.log.String(), `switch it off there`) })
}
