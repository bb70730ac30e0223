package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/tlstest"
)

func content(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	expect.NoError(t, err)
	return string(text)
}

// files returns certificate and key as in a Kubernetes secret of type kubernetes.io/tls.
func files(t *testing.T, cert, key tlstest.Pair) map[string]string {
	return map[string]string{"tls.crt": content(t, cert.Cert), "tls.key": content(t, key.Key)}
}

// client trusts only this certificate, and would speak HTTP/2 if the server offered it.
func client(t *testing.T, trusted tlstest.Pair, change func(*tls.Config)) *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(trusted.Leaf)
	c := &tls.Config{RootCAs: pool, ServerName: "hooks.example.com"}
	if change != nil {
		change(c)
	}
	transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: c.NextProtos == nil}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// postTLS sends one good delivery.
func (b *bridge) postTLS(c *http.Client) (status int, proto string, err error) {
	b.t.Helper()
	body := flockBody(fmt.Sprint(time.Now().UnixNano()), "")
	name, signature, _ := strings.Cut(flockHeader(b.t, body), ": ")
	request, err := http.NewRequest(http.MethodPost, "https://"+b.PublicAddr()+"/webhooks/flock", strings.NewReader(body))
	expect.NoError(b.t, err)
	request.Header.Set(name, signature)
	response, err := c.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Proto, err
}

// Only the public listener has TLS, from 1.2 on and without HTTP/2 (ADR 12): a client that offers
// both speaks HTTP/1.1, and one that offers only HTTP/2 gets no connection.
func TestTLS(t *testing.T) {
	pair := tlstest.New(t, "hooks.example.com")
	b := start(t, "TLS_CERT_FILE="+pair.Cert, "TLS_KEY_FILE="+pair.Key)
	for _, test := range []struct {
		name  string
		proto string // "" if there is no answer
		set   func(*tls.Config)
	}{
		{"HTTP/2 or 1.1", "HTTP/1.1", nil},
		{"HTTP/2 only", "", func(c *tls.Config) { c.NextProtos = []string{"h2"} }},
		{"HTTP/1.1", "HTTP/1.1", func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }},
		{"TLS 1.2", "HTTP/1.1", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }},
		{"TLS 1.1", "", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }},
	} {
		status, proto, err := b.postTLS(client(t, pair, test.set))
		switch {
		case test.proto == "" && err == nil:
			t.Errorf("%s: answered %d", test.name, status)
		case test.proto != "" && err != nil:
			t.Errorf("%s: got %v, want an answer", test.name, err)
		case err == nil && (status != http.StatusOK || proto != test.proto):
			t.Errorf("%s: got %s %d, want %s 200", test.name, proto, status, test.proto)
		}
	}
	if status, _ := b.admin("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz, without TLS: %d", status)
	}
	expect.Equal(t, pair.Leaf.NotAfter.Unix(), int64(b.number("webhook_bridge_tls_certificate_expiry_timestamp_seconds")), "the time at which the certificate expires")
	// A sender without TLS gets an answer that says so, and reaches no endpoint.
	c := b.dial()
	c.write("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: 0\r\n\r\n")
	if line, err := c.reader.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 400") {
		t.Errorf("without TLS: %q, %v", line, err)
	}
}

// Certificate and key are replaced together. Half of a new pair, or an incomplete file, changes only log
// and metrics.
func TestCertificateReload(t *testing.T) {
	first, second, expired := tlstest.New(t, "hooks.example.com"), tlstest.New(t, "hooks.example.com"), tlstest.Until(t, time.Now().Add(-time.Minute), "hooks.example.com")
	v := newVolume(t, files(t, first, first))
	b := start(t, "TLS_CERT_FILE="+v.path("tls.crt"), "TLS_KEY_FILE="+v.path("tls.key"))
	serves := func(what string, pair tlstest.Pair) {
		t.Helper()
		if status, _, err := b.postTLS(client(t, pair, nil)); err != nil || status != http.StatusOK {
			t.Errorf("%s: got %d, %v, want 200", what, status, err)
		}
	}
	serves("at the start", first)
	open := client(t, first, nil)
	if _, _, err := b.postTLS(open); err != nil {
		t.Fatal(err)
	}
	for i, test := range []struct {
		name  string
		files map[string]string
		err   string
	}{
		{"another's key", files(t, second, first), "private key does not match"},
		{"cut off", map[string]string{"tls.crt": content(t, second.Cert)[:200], "tls.key": content(t, second.Key)}, "failed to find any PEM data"},
		{"no key", map[string]string{"tls.crt": content(t, second.Cert)}, "no such file"},
	} {
		v.swap(test.files)
		b.await(test.name, func() bool { return len(b.lines("certificate and key can't be loaded")) == i+1 })
		if line := b.lines("certificate and key can't be loaded")[i]; !strings.Contains(fmt.Sprint(line["error"]), test.err) {
			t.Errorf("%s: logged %v, want the reason", test.name, line)
		}
		expect.Equal(t, "0", b.metric("webhook_bridge_tls_last_reload_successful"), "%s: the last reload was successful", test.name)
		serves(test.name, first)
	}
	v.swap(files(t, second, second))
	b.await("loaded", func() bool { return len(b.lines("certificate and key loaded")) == 1 })
	serves("the second pair", second)
	if _, _, err := b.postTLS(client(t, first, nil)); err == nil {
		t.Error("the first pair is still served")
	}
	if status, _, err := b.postTLS(open); err != nil || status != http.StatusOK {
		t.Errorf("an open connection was lost: %v", err)
	}
	expect.Equal(t, "1", b.metric("webhook_bridge_tls_last_reload_successful"), "the last reload was successful again")
	// An expired certificate is used all the same, because the clock may be wrong, and is logged as an error.
	v.swap(files(t, expired, expired))
	b.await("loaded", func() bool { return len(b.lines("certificate is not valid now")) == 1 })
	expect.Equal(t, expired.Leaf.NotAfter.Unix(), int64(b.number("webhook_bridge_tls_certificate_expiry_timestamp_seconds")), "the time at which the certificate expires")
	if strings.Contains(b.log.String(), "PRIVATE KEY") || strings.Contains(b.log.String(), strings.Split(content(t, second.Key), "\n")[1]) {
		t.Error("the log has a key")
	}
}

// With TLS, too, an open connection gets one more answer at a shutdown. Neither a silent connection nor one
// without a handshake delays it.
func TestTLSShutdown(t *testing.T) {
	pair := tlstest.New(t, "hooks.example.com")
	b := start(t, "TLS_CERT_FILE="+pair.Cert, "TLS_KEY_FILE="+pair.Key)
	b.lastAnswer = 5 * time.Second // the machine may be busy
	last := client(t, pair, nil)
	if _, _, err := b.postTLS(last); err != nil {
		t.Fatal(err)
	}
	silent, err := tls.Dial("tcp", b.PublicAddr(), &tls.Config{InsecureSkipVerify: true})
	expect.NoError(t, err)
	defer silent.Close()
	b.dial() // doesn't even shake hands
	b.await("three connections", func() bool { return b.open() == 3 })
	stopped := make(chan error, 1)
	go func() { stopped <- b.stop() }()
	b.await("shutting down", b.handler.Stopping.Load)
	if status, _, err := b.postTLS(last); err != nil || status != http.StatusOK {
		t.Errorf("the open connection's last delivery: %d %v", status, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	expect.Equal(t, 0, b.open(), "open connections")
}
