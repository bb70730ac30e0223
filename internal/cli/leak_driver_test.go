package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
	"github.com/ade15e70/webhook-bridge/test/tlstest"
)

// Secrets, bodies and made-up signatures contain a mark, which must not be seen.
const (
	markedSecret    = "hushkey"
	markedBody      = "hushbody"
	markedSignature = "hushsign"
)

// leakTest drives the real binary and keeps all of its output.
type leakTest struct {
	t        *testing.T
	dir      string
	program  string
	environ  []string
	outputs  map[string]string // by where they come from
	asked    map[string]bool   // the outputs that may have bodies
	hidden   []string          // texts that must not be seen, besides the marks: signatures
	serve    *exec.Cmd
	public   string
	admin    string
	launched int
}

// forms returns the encodings in which the text may be printed.
func forms(text string) []string {
	all := []string{text, hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text)))}
	decimal := fmt.Sprint([]byte(text)) // [104 117 …], as fmt writes bytes
	decimal = decimal[1 : len(decimal)-1]
	all = append(all, decimal, strings.ReplaceAll(decimal, " ", ","))
	for shift := range 3 { // base64 of bytes that contain the text, at any position
		encoded := base64.RawStdEncoding.EncodeToString(append(bytes.Repeat([]byte{'x'}, shift), text...))
		inner := encoded[(shift*8+5)/6 : len(encoded)-1]
		all = append(all, inner, strings.NewReplacer("+", "-", "/", "_").Replace(inner))
	}
	return all
}

func TestForms(t *testing.T) {
	for shift := range 3 {
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString([]byte(strings.Repeat("?", shift) + "a" + markedSecret + "~~"))
			if !slices.ContainsFunc(forms(markedSecret), func(form string) bool { return strings.Contains(text, form) }) {
				t.Errorf("not found in %s", text)
			}
		}
	}
}

// command runs one command to its end.
func (l *leakTest) command(environ []string, args ...string) (out string) {
	l.t.Helper()
	var stdout, stderr bytes.Buffer
	c := exec.Command(l.program, args...)
	c.Args[0], c.Dir, c.Env, c.Stdout, c.Stderr = "bridge", l.dir, append(slices.Clone(l.environ), environ...), &stdout, &stderr
	_ = c.Run() // many must fail
	l.launched++
	name := fmt.Sprintf("%d: bridge %s", l.launched, strings.Join(args, " "))
	l.outputs[name+", stderr"] = stderr.String()
	out = stdout.String()
	l.outputs[name] = out
	l.asked[name] = args[0] == "tail" || args[0] == "verify" || len(args) > 1 && args[1] == "show"
	return out
}

// start starts `bridge serve` and waits until it listens.
func (l *leakTest) start(environ ...string) {
	l.t.Helper()
	log, err := os.Create(filepath.Join(l.t.TempDir(), "log"))
	expect.NoError(l.t, err)
	defer log.Close()
	l.serve = exec.Command(l.program, "serve")
	l.serve.Args[0], l.serve.Dir, l.serve.Env, l.serve.Stdout, l.serve.Stderr = "bridge", l.dir, append(slices.Clone(l.environ), environ...), log, log
	expect.NoError(l.t, l.serve.Start())
	serve := l.serve
	l.t.Cleanup(func() { _ = serve.Process.Kill() })
	l.outputs[log.Name()] = ""
	found := l.await(log.Name(), listens.String())
	l.public, l.admin = found[1], found[2]
}

// await waits until the log of a bridge matches a pattern.
func (l *leakTest) await(log, pattern string) (found []string) {
	l.t.Helper()
	if !poll.Holds(func() bool {
		text, _ := os.ReadFile(log)
		found = regexp.MustCompile(pattern).FindStringSubmatch(string(text))
		return found != nil
	}) {
		text, _ := os.ReadFile(log)
		l.t.Fatalf("the log has no %s:\n%s", pattern, text)
	}
	return found
}

// end ends the bridge with a signal and reads what it logged.
func (l *leakTest) end(signal syscall.Signal) {
	l.t.Helper()
	_ = l.serve.Process.Signal(signal)
	_ = l.serve.Wait()
	for name := range l.outputs {
		if filepath.Base(name) == "log" {
			text, err := os.ReadFile(name)
			expect.NoError(l.t, err)
			l.outputs[name] = string(text)
		}
	}
}

func (l *leakTest) log() string {
	for name := range l.outputs {
		if filepath.Base(name) == "log" && l.outputs[name] == "" {
			return name
		}
	}
	return ""
}

// get sends a request to the admin listener and keeps the answer.
func (l *leakTest) get(path string) string {
	l.t.Helper()
	response, err := http.Get("http://" + l.admin + path)
	expect.NoError(l.t, err)
	defer response.Body.Close()
	var text bytes.Buffer
	_ = response.Write(&text)
	l.outputs["GET "+path+fmt.Sprint(len(l.outputs))] = text.String()
	return text.String()
}

// raw sends bytes to the public listener and keeps the answer. It closes the connection after an
// incomplete request.
func (l *leakTest) raw(text string, whole bool) string {
	l.t.Helper()
	conn, err := net.Dial("tcp", l.public)
	expect.NoError(l.t, err)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(bound))
	_, _ = io.WriteString(conn, text)
	if !whole {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	answer := make([]byte, 64<<10)
	n, _ := conn.Read(answer)
	l.outputs[fmt.Sprintf("answer %d to %.40q", len(l.outputs), text)] = string(answer[:n])
	return string(answer[:n])
}

// begin sends an incomplete body. The function that it returns waits for the answer.
func (l *leakTest) begin() (end func()) {
	l.t.Helper()
	conn, err := net.Dial("tcp", l.public)
	expect.NoError(l.t, err)
	l.t.Cleanup(func() { conn.Close() })
	_, _ = io.WriteString(conn, "POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: 100\r\nX-Flock-Signature: "+markedSignature+"\r\n\r\n"+markedBody)
	return func() {
		_ = conn.SetDeadline(time.Now().Add(bound))
		answer, _ := io.ReadAll(conn)
		if !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
			l.t.Errorf("half a body is answered %q", answer)
		}
		l.outputs["answer to half a body"] = string(answer)
	}
}

// collect starts a collector that keeps the spans. Call end after the bridge has ended.
func (l *leakTest) collect() (url string, end func()) {
	spans := make(chan string, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		spans <- string(text)
	}))
	return server.URL, func() {
		server.Close()
		close(spans)
		all := ""
		for text := range spans {
			all += text
		}
		if !strings.Contains(all, "webhook_bridge.outcome") {
			l.t.Errorf("no spans came: %q", all)
		}
		l.outputs["spans"] = all
	}
}

// deliver sends a body with headers, which are whole lines, and expects an answer with this status and code.
func (l *leakTest) deliver(want, endpoint, body string, headers ...string) {
	l.t.Helper()
	lines := strings.Join(append(headers, ""), "\r\n")
	answer := ""
	poll.Until(l.t, "an answer", func() bool { // a busy machine may not write one within a second
		answer = l.raw(fmt.Sprintf("POST /webhooks/%s HTTP/1.1\r\nHost: bridge\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n%s", endpoint, len(body), lines, body), true)
		return answer != ""
	})
	status, rest, _ := strings.Cut(strings.TrimPrefix(answer, "HTTP/1.1 "), " ")
	code, inBody, _ := strings.Cut(want, " ")
	if status != code || !strings.Contains(rest, `"`+inBody+`"`) {
		l.t.Errorf("%.60s is answered %s, want %s", body, answer, want)
	}
}

// sign signs with a secret, and adds the signature to the texts that must not be seen.
func (l *leakTest) sign(header, key, text string) string {
	mac := secret.New(key).MAC([]byte(text))
	l.hidden = append(l.hidden, verify.Hex.Encode(mac), strings.ToUpper(verify.Hex.Encode(mac)),
		base64.RawStdEncoding.EncodeToString(mac[:]), base64.RawURLEncoding.EncodeToString(mac[:]), strings.Trim(fmt.Sprint(mac), "[]"))
	return header + ": " + verify.Hex.Encode(mac)
}

func (l *leakTest) flock(body string) string {
	return l.sign("X-Flock-Signature", markedSecret+"-1", body)
}

func (l *leakTest) frigade(body string) string {
	text, err := stringify.Parse([]byte(body))
	expect.NoError(l.t, err)
	return l.sign("X-Webhook-Signature", markedSecret+"-3", string(text.Member("data")))
}

func flockBody(id string, at time.Time) string {
	return fmt.Sprintf(`{"name":"invitee.accepted","entity":"invitee","entityId":%[1]q,"data":{"invitee":{"id":%[1]q},"note":"%[2]s"},"timestamp":%[3]d}`, markedBody+id, markedBody, at.Unix())
}

// deliveries sends one delivery of every kind: good, bad and hostile.
func (l *leakTest) deliveries(now time.Time, good string) {
	l.t.Helper()
	l.deliver("200 stored", "flock", good, l.flock(good))
	l.deliver("200 duplicate", "flock", good, l.flock(good))
	second := flockBody("second", now)
	l.deliver("200 stored", "flock", second, l.sign("X-Flock-Signature", markedSecret+"-2", second))
	unreadable := `{"data":{"x":"` + markedBody + `"}}`
	l.deliver("200 quarantined", "flock", unreadable, l.flock(unreadable))
	for code, at := range map[string]time.Time{"stale": now.Add(-time.Hour), "future": now.Add(time.Hour)} {
		body := flockBody(code, at)
		l.deliver("401 "+code, "flock", body, l.flock(body))
	}
	stamp := now.UTC().Format(time.RFC3339)
	contradiction := fmt.Sprintf(`{"type":"flowResponse.startedStep","time":%q,"data":{"id":%q,"actionType":"COMPLETED_STEP"}}`, stamp, markedBody)
	l.deliver("401 signature", "frigade", contradiction, l.frigade(contradiction))
	aged := fmt.Sprintf(`{"type":"flowResponse.completedStep","time":%q,"data":{"id":%q,"createdAt":"2001-01-01T00:00:00Z"}}`, stamp, markedBody)
	l.deliver("401 stale", "frigade", aged, l.frigade(aged))
	l.deliver("401 signature", "flock", good)
	l.deliver("401 signature", "flock", good, "X-Flock-Signature: "+markedSignature)
	l.deliver("401 signature", "flock", good, l.sign("X-Flock-Signature", markedSecret+"-none", good))
	l.deliver("401 signature", "flock", good, l.flock(good), "X-Flock-Signature: "+markedSignature)
	wrongScheme := fmt.Sprintf(`{"type":"flowResponse.completedStep","time":%q,"data":{"id":%q}}`, stamp, markedBody)
	l.deliver("401 signature", "frigade", wrongScheme, l.sign("X-Webhook-Signature", markedSecret+"-3", wrongScheme))
	l.deliver("401 signature", "frigade", strings.TrimSuffix(wrongScheme, "}")+`,"signature":"`+markedSignature+`"}`)
	for code, body := range map[string]string{
		"not_json": markedBody, "not_utf8": `{"` + markedBody + "\xff\":1}", "duplicate_member": `{"` + markedBody + `":1,"` + markedBody + `":2}`,
		"too_deep": `{"` + markedBody + `":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + "}",
	} {
		l.deliver("400 "+code, "flock", body, l.flock(body))
	}
	l.deliver("400 data_shape", "frigade", `{"type":"`+markedBody+`","data":{}}`)
	l.deliver("413 body_too_large", "flock", strings.Repeat(markedBody, 5<<18))       // 10 MiB, of MAX_BODY_BYTES 9
	large := strings.Replace(good, markedBody, strings.Repeat(markedBody, 17<<16), 1) // more than NATS takes, 8 MiB
	l.deliver("413 message_too_large", "flock", large, l.flock(large))
	l.deliver("415 content_encoding", "flock", "\x1f"+markedBody, "Content-Encoding: "+markedBody)
	l.deliver("404 not_found", "FLOCK//", good, l.flock(good))
	l.deliver("404 not_found", markedBody, good, l.flock(good))
	l.raw("GET /webhooks/flock?"+markedBody+" HTTP/1.1\r\nHost: "+markedBody+"\r\n\r\n", true)
	l.raw("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: 100\r\nX-Flock-Signature: "+markedSignature+"\r\n\r\n"+markedBody, false)
	l.raw("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nTransfer-Encoding: chunked\r\n\r\n"+markedBody+"\r\n", true)
	l.raw(markedBody+"\r\n\r\n", true)
	l.raw("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nX-Flock-Signature: "+strings.Repeat(markedSignature, 1<<13)+"\r\n\r\n", true)
	l.raw("POST /webhooks/flock HTTP/1.1\r\nX-Flock-Signature "+markedSignature+"\r\n\r\n", true)
}

// commands runs every command, with the environment of the bridge that has this log, and with wrong ones.
func (l *leakTest) commands(log string, pair tlstest.Pair) {
	l.t.Helper()
	server := "NATS_URL=nats://" + connected.FindStringSubmatch(log)[1]
	for _, args := range [][]string{
		{"--help"},
		{"help", "send"},
		{"serve", "--help"},
		{"demo", "--help"},
		{"send", "--help"},
		{"tail", "--help"},
		{"verify", "--help"},
		{"inspect", "--help"},
		{"completion", "bash"},
		{"quarantine", "--help"},
		{"quarantine", "release", "--help"},
		{"spool", "--help"},
		{"config", "--help"},
		{"health", "--help"},
		{"version", "--help"},
		{"config"},
		{"config", "--check"},
		{"version"},
		{"health"},
		{"send", "flock", "--url", "http://" + l.public},
		{"send", "flock", "--tamper", "--url", "http://" + l.public},
		{"send", "frigade", "--count", "3", "--url", "http://" + l.public},
		{"send", "nobody"},
		{"send", "flock", "--secret=" + "x"},
		{"send", "flock", "--url", "http://127.0.0.1:1"},
		{"serve", "flock"},
		{"tail", "--since", "1h", "--count", "3"},
		{"quarantine", "list"},
		{"quarantine", "release", "--all"},
		{"quarantine", "drop", "--all"},
	} {
		out := l.command([]string{server, "ADMIN_ADDR=" + l.admin}, args...)
		if args[0] == "quarantine" && args[1] == "list" {
			id := regexp.MustCompile(`[0-9a-f]{32}`).FindString(out)
			l.command([]string{server}, "quarantine", "show", id)
		}
	}
	// Wrong environments.
	for _, bad := range [][]string{
		{"FLOCK_SECRETS=" + markedSecret + ",," + markedSecret},
		{"FLOCK_SECRETS_FILE=secrets"},
		{"FLOCK_SECRETS=" + markedSecret + "," + markedSecret},
		{"FLOCK_SECRET=" + markedSecret},
		{"NATS_PASSWORD=" + markedSecret},
		{"NATS_URL=nats://" + markedSecret + ":" + markedSecret + "@"},
		{"NATS_TOKEN=", "NATS_URL=nats://" + markedSecret + "@127.0.0.1:1"},
		{"NATS_URL=u:" + markedSecret},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://u:" + markedSecret},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://u:a," + markedSecret + "@127.0.0.1:1"},
		{"ENDPOINTS_0_SECRETS=" + markedSecret},
		{"TLS_CERT_FILE=" + pair.Key, "TLS_KEY_FILE=" + pair.Key},
		{"TLS_CERT_FILE=" + pair.Cert, "TLS_KEY_FILE=secrets"},
		{"FRIGADE_SECRETS_FILE=" + pair.Key},
	} {
		l.command(bad, "config")
		l.command(bad, "config", "--check")
		l.command(append(bad, "LOG_FORMAT=x"), "serve")
		l.command(bad, "tail", "--count", "1", "--since", "1h")
		l.command(bad, "send", "flock", "--url", "http://"+l.public)
	}
}

// verify runs `bridge verify` on captures: a right one, and several wrong ones. The secrets are in the
// environment, the signatures in the captures.
func (l *leakTest) verify(capture string) {
	l.t.Helper()
	for i, text := range []string{
		capture, strings.Replace(capture, markedBody, markedBody+"x", 1), strings.TrimSuffix(capture, "}"), markedBody,
		strings.Replace(capture, "X-Flock-Signature: ", "X-Flock-Signature: 01234567"+markedSignature, 1), // eight digits are shown
	} {
		file := filepath.Join(l.dir, fmt.Sprint("capture", i))
		expect.NoError(l.t, os.WriteFile(file, []byte(text), 0o600))
		l.command(nil, "verify", file)
		l.command(nil, "verify", "--at", "now", "flock", file)
		l.command(nil, "verify", "frigade", file)
		l.command(nil, "verify", "--headers", file, "--body", file)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
