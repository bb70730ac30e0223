//go:build alerts

package alerts

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/tlstest"
)

// Alerts about senders, and about secrets, certificate and clock.
func TestDeliveries(t *testing.T) {
	secrets := filepath.Join(t.TempDir(), "secrets")
	write(t, secrets, key+"\n")
	soon := tlstest.Until(t, time.Now().Add(10*24*time.Hour), "localhost")
	b := startBridge(t, "FLOCK_SECRETS_FILE="+secrets, "TLS_CERT_FILE="+soon.Cert, "TLS_KEY_FILE="+soon.Key, "MAX_BODY_BYTES=2KiB")
	p := startPrometheus(t, b)
	send := func(s sent) func() { return func() { b.send(t, s) } }
	good := send(sent{name: "invitee.accepted"})

	p.fires(t, nil, "CertificateExpires")
	later := tlstest.Until(t, time.Now().Add(90*24*time.Hour), "localhost")
	replace(t, later.Key, soon.Key)
	replace(t, later.Cert, soon.Cert)
	p.resolves(t, nil, "CertificateExpires")

	good()
	b.sendTo(t, "/elsewhere", sent{})
	checkMetrics(t, b)
	everyQuery(t, p)

	p.fires(t, send(sent{name: "invitee.accepted", extra: 3 << 10}), "TooLarge")
	p.resolves(t, nil, "TooLarge")
	p.fires(t, send(sent{name: "invitee.accepted", key: "another"}), "SignaturesWrong")
	p.resolves(t, good, "SignaturesWrong")
	p.fires(t, send(sent{name: "invitee.accepted", at: time.Now().Add(-time.Hour)}), "Untimely")
	p.resolves(t, nil, "Untimely")
	p.fires(t, send(sent{}), "Quarantining") // it has no name
	p.resolves(t, nil, "Quarantining")
	p.fires(t, good, "PayloadDrift") // it has no entity
	p.resolves(t, nil, "PayloadDrift")
	p.fires(t, nil, "Silent")
	p.resolves(t, good, "Silent")
	p.fires(t, func() { b.send(t, sent{name: "invitee.accepted", at: time.Now().Add(time.Minute)}) }, "Clock")
	p.resolves(t, good, "Clock")

	write(t, secrets, "")
	p.fires(t, nil, "ReloadFailed")
	write(t, secrets, key+"\n")
	p.resolves(t, nil, "ReloadFailed")

	p.fires(t, func() { crowd(t, b) }, "Crowded")
	p.resolves(t, nil, "Crowded")
	p.fires(t, func() { b.sendTo(t, "//webhooks/flock", sent{}) }, "WrongPath")
	p.resolves(t, nil, "WrongPath")
	p.fires(t, func() { speakProxyProtocol(t, b) }, "ConnectionsRefused")
	p.resolves(t, nil, "ConnectionsRefused")

	b.process.Kill()
	p.fires(t, nil, "Down", "InstanceDown")
	b.start(t)
	p.resolves(t, nil, "Down", "InstanceDown")
}

// NATS goes away and comes back, and the spool fills meanwhile.
func TestWithoutNATS(t *testing.T) {
	server := natsdtest.Start(t, "")
	b := startBridge(t, "FLOCK_SECRETS="+key, "NATS_URL="+server.URL(), "SPOOL_MAX_BYTES=16KiB", "MAX_BODY_BYTES=1KiB")
	p := startPrometheus(t, b)
	send := func() { b.send(t, sent{name: "invitee.accepted"}) }
	send()
	server.Stop()
	p.fires(t, send, "WithoutNATS", "Behind", "SpoolFilling", "NotReady", "TurningAway")
	server.Start()
	p.resolves(t, nil, "WithoutNATS", "Behind", "SpoolFilling", "NotReady", "TurningAway")
}

// The stream is full, and then refuses messages of this size.
func TestRefusedByStream(t *testing.T) {
	server := natsdtest.Start(t, "")
	b := startBridge(t, "FLOCK_SECRETS="+key, "NATS_URL="+server.URL())
	p := startPrometheus(t, b)
	send := func() { b.send(t, sent{name: "invitee.accepted"}) }
	send()
	limit(t, server, func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 })
	p.fires(t, send, "Blocked")
	server.Stop() // what waits is refused for its size when it is back
	send()
	server.Start()
	limit(t, server, func(c *jetstream.StreamConfig) { c.MaxMsgs, c.MaxMsgSize = -1, 100 })
	p.fires(t, nil, "SetAside")
	p.resolves(t, nil, "Blocked")
	limit(t, server, func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 })
	p.resolves(t, nil, "SetAside") // within a minute
}

// An event that waits longer than the stream remembers ids may be stored twice if the account can't
// look it up.
func TestNoLookup(t *testing.T) {
	conf := `accounts { A { jetstream: enabled, users: [
		{user: admin, password: admin}
		{user: bridge, password: bridge, permissions: {
			publish: ["webhooks.>", "webhooks-quarantine.>", "$JS.API.STREAM.INFO.>"], subscribe: ["_INBOX.>"]}}
	]}}`
	server := natsdtest.Start(t, conf)
	as := func(user string) string {
		return strings.Replace(server.URL(), "nats://", "nats://"+user+":"+user+"@", 1)
	}
	js := natsdtest.Connect(t, as("admin"))
	for name, subject := range map[string]string{"WEBHOOKS": "webhooks.>", "WEBHOOKS_QUARANTINE": "webhooks-quarantine.>"} {
		natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: name, Subjects: []string{subject}, Duplicates: 2 * time.Second, MaxAge: time.Hour})
	}
	b := startBridge(t, "FLOCK_SECRETS="+key, "NATS_URL="+as("bridge"), "STREAM_MANAGE=false")
	p := startPrometheus(t, b)
	server.Stop()
	b.send(t, sent{name: "invitee.accepted"})
	p.fires(t, nil, "Behind") // longer than those two seconds
	server.Start()
	p.fires(t, nil, "PossibleDuplicates")
	p.resolves(t, nil, "PossibleDuplicates", "Behind")
}

// NATS falls silent, and deliveries wait for it almost as long as a sender would.
func TestSlow(t *testing.T) {
	server := natsdtest.StartProcess(t, "")
	b := startBridge(t, "FLOCK_SECRETS="+key, "NATS_URL="+server.URL(), "PUBLISH_TIMEOUT=700ms")
	p := startPrometheus(t, b)
	send := func() { b.send(t, sent{name: "invitee.accepted"}) }
	p.fires(t, func() {
		server.Pause()
		send()
		server.Resume()
		eventually(t, "the spool is empty", func() bool { return metric(t, b, `webhook_bridge_spool_events{kind="event"}`) == "0" })
	}, "Slow")
	p.resolves(t, send, "Slow")
}

// The disk of the spool breaks, and an operator mends it.
func TestDiskBroken(t *testing.T) {
	dir := t.TempDir()
	image, disk := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	write(t, image, "")
	expect.NoError(t, errors.Join(os.Truncate(image, 64<<20), os.Mkdir(disk, 0o700)))
	system(t, "mkfs.ext4", "-q", "-F", image)
	mount := func() { system(t, "mount", "-o", "loop,errors=remount-ro", image, disk) }
	mount()
	server := natsdtest.Start(t, "")
	b := startBridge(t, "FLOCK_SECRETS="+key, "NATS_URL="+server.URL(), "DATA_DIR="+disk)
	t.Cleanup(func() {
		b.process.Kill()
		_ = exec.Command("umount", disk).Run()
	})
	p := startPrometheus(t, b)
	device := strings.TrimSpace(system(t, "findmnt", "-n", "-o", "SOURCE", disk))
	write(t, filepath.Join("/sys/fs/ext4", filepath.Base(device), "trigger_fs_error"), "test\n")
	server.Stop()
	p.fires(t, func() { b.send(t, sent{name: "invitee.accepted"}) }, "SpoolNotWritable")
	b.process.Kill()
	system(t, "umount", disk)
	_ = exec.Command("e2fsck", "-f", "-y", image).Run() // its status is 1 where it has mended something
	mount()
	server.Start()
	b.start(t)
	p.resolves(t, func() { b.send(t, sent{name: "invitee.accepted"}) }, "SpoolNotWritable")
}

// crowd opens more connections than the bridge allows, and closes them.
func crowd(t *testing.T, b *bridge) {
	t.Helper()
	for range 5000 {
		conn, err := net.Dial("tcp", b.url)
		if err != nil { // this process may open no more, and the bridge keeps fewer then
			break
		}
		defer conn.Close()
	}
}

// speakProxyProtocol sends what a misconfigured proxy sends.
func speakProxyProtocol(t *testing.T, b *bridge) {
	t.Helper()
	for range 12 {
		conn, err := net.Dial("tcp", b.url)
		expect.NoError(t, err)
		_, _ = conn.Write([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"))
		_ = conn.Close()
	}
}

// system runs a command as root, and returns its output.
func system(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s (this needs root): %v: %s", name, err, out)
	}
	return string(out)
}

// Every alert was caused but one: an internal error needs a bug of the bridge.
func TestEveryAlert(t *testing.T) {
	rules, err := os.ReadFile(observability + "alerts.yaml")
	expect.NoError(t, err)
	for _, m := range regexp.MustCompile(`alert: WebhookBridge(\w+)`).FindAllStringSubmatch(string(rules), -1) {
		if _, ok := seen.Load(m[1]); !ok && m[1] != "InternalError" {
			t.Errorf("%s was not caused", m[1])
		}
	}
}

// checkMetrics checks the metrics' names, types and help texts with promtool.
func checkMetrics(t *testing.T, b *bridge) {
	t.Helper()
	answer, err := http.Get("http://" + b.admin + "/metrics")
	expect.NoError(t, err)
	defer answer.Body.Close()
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = answer.Body
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// everyQuery evaluates every query of the dashboard until each has a result, except those without a
// result in a healthy bridge.
func everyQuery(t *testing.T, p *prometheus) {
	t.Helper()
	text, err := os.ReadFile(observability + "dashboard.json")
	expect.NoError(t, err)
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	expect.NoError(t, json.Unmarshal(text, &dashboard))
	with := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*", "$endpoint", ".*")
	n := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expression := with.Replace(target.Expr)
			goodNews := strings.HasSuffix(expression, "> 0") || strings.HasSuffix(expression, "== 1")
			eventually(t, "there is an answer to "+expression, func() bool { return p.query(t, expression) > 0 || goodNews })
			n++
		}
	}
	if n < 20 {
		t.Errorf("the dashboard has %d queries only", n)
	}
}

// metric returns the value of a series.
func metric(t *testing.T, b *bridge, series string) string {
	t.Helper()
	answer, err := http.Get("http://" + b.admin + "/metrics")
	expect.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	expect.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// limit changes the events' stream.
func limit(t *testing.T, server *natsdtest.Server, change func(*jetstream.StreamConfig)) {
	t.Helper()
	js := natsdtest.Connect(t, server.URL())
	eventually(t, "the stream is changed", func() bool {
		stream, err := js.Stream(t.Context(), "WEBHOOKS")
		if err != nil {
			return false
		}
		config := stream.CachedInfo().Config
		change(&config)
		_, err = js.UpdateStream(t.Context(), config)
		return err == nil
	})
}

func replace(t *testing.T, from, to string) {
	t.Helper()
	expect.NoError(t, os.Rename(from, to))
}
