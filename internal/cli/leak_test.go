package cli

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/tlstest"
)

// No output, log line at debug level, metric, span, profile or answer contains a secret, a signature or
// a body, whatever is done to the program. The exceptions are bodies on the standard output of tail, show
// and verify. (A core dump has all of them.)
func TestNothingLeaks(t *testing.T) {
	program, err := os.Executable()
	expect.NoError(t, err)
	l := &leakTest{t: t, dir: t.TempDir(), program: program, outputs: make(map[string]string), asked: make(map[string]bool)}
	write := func(name, content string) {
		t.Helper()
		expect.NoError(t, os.WriteFile(filepath.Join(l.dir, name), []byte(content), 0o600))
	}
	write("secrets", markedSecret+"-3\n"+markedSecret+"-4\n")
	pair := tlstest.New(t, "localhost")
	key, err := os.ReadFile(pair.Key)
	expect.NoError(t, err)
	l.hidden = append(l.hidden, strings.Split(string(key), "\n")[1])
	l.environ = []string{
		"FLOCK_SECRETS=" + markedSecret + "-1," + markedSecret + "-2", "FRIGADE_SECRETS_FILE=secrets", "LOG_LEVEL=debug", "PPROF=true", "DATA_DIR=data",
		"HTTP_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "EMBEDDED_NATS_ADDR=127.0.0.1:0", "NATS_TOKEN=" + markedSecret + "-token", "PUBLISH_TIMEOUT=30s",
		"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir,
	}

	collector, spans := l.collect()
	l.start("MAX_BODY_BYTES=9MiB", "OTEL_EXPORTER_OTLP_ENDPOINT="+collector, "OTEL_EXPORTER_OTLP_HEADERS=authorization="+markedSecret)
	log := l.log()
	half := l.begin()
	now := time.Now()
	good := flockBody("good", now)
	l.deliveries(now, good)
	half()

	// Unusable secrets files, and a usable one.
	write("secrets", markedSecret+"-5\n"+markedSecret+"-5\n")
	l.await(log, `secrets can't be loaded.*is the same as`)
	write("secrets", markedSecret+"-5\x00\n")
	l.await(log, `secrets can't be loaded.*not text`)
	write("secrets", markedSecret+"-3\n"+markedSecret+"-6\n")
	l.await(log, `secrets loaded`)
	l.commands(string(must(os.ReadFile(log))), pair)
	l.verify(fmt.Sprintf("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: %d\r\n%s\r\n\r\n%s", len(good), l.flock(good), good))
	for _, path := range []string{"/metrics", "/readyz", "/livez", "/log/level", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/debug/pprof/allocs?debug=1", "/debug/pprof/" + markedBody} {
		l.get(path)
	}
	l.end(syscall.SIGTERM)
	spans()

	// Without NATS: spooled, busy, and an exit that prints every goroutine.
	l.start("NATS_TOKEN=", "NATS_URL=nats://"+markedSecret+":"+markedSecret+"@127.0.0.1:1", "SPOOL_MAX_BYTES=3000", "DATA_DIR=spooling", "MAX_IN_FLIGHT_BYTES=4000")
	l.deliver("200 spooled", "flock", good, l.flock(good))
	for i := range 20 { // until it is full
		body := flockBody(fmt.Sprint(i), now)
		if strings.HasPrefix(l.raw(fmt.Sprintf("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: %d\r\n%s\r\n\r\n%s", len(body), l.flock(body), body), true), "HTTP/1.1 503") {
			break
		}
	}
	last := flockBody("last", now)
	l.deliver("503 unavailable", "flock", last, l.flock(last))
	l.deliver("503 busy", "flock", strings.Repeat(markedBody, 1000))
	l.get("/readyz")
	l.get("/metrics")
	l.end(syscall.SIGQUIT)
	l.command([]string{"DATA_DIR=spooling"}, "spool", "list")

	// TLS, and clients that violate it.
	l.start("TLS_CERT_FILE="+pair.Cert, "TLS_KEY_FILE="+pair.Key, "DATA_DIR=tls")
	l.raw("POST /webhooks/flock HTTP/1.1\r\nHost: "+markedBody+"\r\n\r\n", true)
	if conn, err := tls.Dial("tcp", l.public, &tls.Config{InsecureSkipVerify: true, ServerName: markedBody}); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
	l.command([]string{"SSL_CERT_FILE=" + pair.Cert}, "send", "flock", "--url", "https://"+l.public)
	l.end(syscall.SIGTERM)

	size := 0
	for where, text := range l.outputs {
		size += len(text)
		look := slices.Concat(forms(markedSecret), forms(markedSignature), l.hidden)
		if !l.asked[where] {
			look = append(look, forms(markedBody)...)
		}
		for _, form := range look {
			if at := strings.Index(text, form); at >= 0 {
				t.Errorf("%s has %q: …%s…", where, form, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
	t.Logf("%d bytes in %d outputs were searched", size, len(l.outputs))
	if len(l.outputs) < 120 || size < 100<<10 {
		t.Errorf("only %d outputs with %d bytes: some commands or requests weren't made", len(l.outputs), size)
	}
}
