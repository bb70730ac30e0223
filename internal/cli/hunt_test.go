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

// Secrets, bodies and signatures that must not be seen contain a mark; signatures that are no MACs
// of anything, too.
const (
	markedSecret    = "hushkey"
	markedBody      = "hushbody"
	markedSignature = "hushsign"
)

// hunt drives the real binary and keeps all of its output.
type hunt struct {
	t        *testing.T
	dir      string
	program  string
	environ  []string
	outputs  map[string]string // by where they were printed
	asked    map[string]bool   // where bodies are what was asked for
	hidden   []string          // what must not be there, besides the marks: signatures
	serve    *exec.Cmd
	public   string
	admin    string
	launched int
}

// forms are the encodings in which bytes may be written.
func forms(text string) []string {
	all := []string{text, hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text)))}
	decimal := fmt.Sprint([]byte(text)) // [104 117 …], as fmt writes bytes
	decimal = decimal[1 : len(decimal)-1]
	all = append(all, decimal, strings.ReplaceAll(decimal, " ", ","))
	for shift := range 3 { // base64 of something that has the text in it, at any place
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

// command runs one command to its end. Its data may contain bodies if bodies were asked for.
func (h *hunt) command(environ []string, args ...string) (out string) {
	h.t.Helper()
	var stdout, stderr bytes.Buffer
	c := exec.Command(h.program, args...)
	c.Args[0], c.Dir, c.Env, c.Stdout, c.Stderr = "bridge", h.dir, append(slices.Clone(h.environ), environ...), &stdout, &stderr
	_ = c.Run() // many must fail
	h.launched++
	name := fmt.Sprintf("%d: bridge %s", h.launched, strings.Join(args, " "))
	h.outputs[name+", words"] = stderr.String()
	out = stdout.String()
	h.outputs[name] = out
	h.asked[name] = args[0] == "tail" || args[0] == "verify" || len(args) > 1 && args[1] == "show"
	return out
}

// start starts `bridge serve` and waits until it listens.
func (h *hunt) start(environ ...string) {
	h.t.Helper()
	log, err := os.Create(filepath.Join(h.t.TempDir(), "log"))
	expect.NoError(h.t, err)
	defer log.Close()
	h.serve = exec.Command(h.program, "serve")
	h.serve.Args[0], h.serve.Dir, h.serve.Env, h.serve.Stdout, h.serve.Stderr = "bridge", h.dir, append(slices.Clone(h.environ), environ...), log, log
	expect.NoError(h.t, h.serve.Start())
	serve := h.serve
	h.t.Cleanup(func() { _ = serve.Process.Kill() })
	h.outputs[log.Name()] = ""
	found := h.await(log.Name(), listens.String())
	h.public, h.admin = found[1], found[2]
}

// await waits until the log of a bridge has something.
func (h *hunt) await(log, pattern string) (found []string) {
	h.t.Helper()
	if !poll.Holds(func() bool {
		text, _ := os.ReadFile(log)
		found = regexp.MustCompile(pattern).FindStringSubmatch(string(text))
		return found != nil
	}) {
		text, _ := os.ReadFile(log)
		h.t.Fatalf("the log has no %s:\n%s", pattern, text)
	}
	return found
}

// end ends the bridge with a signal and reads what it logged.
func (h *hunt) end(signal syscall.Signal) {
	h.t.Helper()
	_ = h.serve.Process.Signal(signal)
	_ = h.serve.Wait()
	for name := range h.outputs {
		if filepath.Base(name) == "log" {
			text, err := os.ReadFile(name)
			expect.NoError(h.t, err)
			h.outputs[name] = string(text)
		}
	}
}

func (h *hunt) log() string {
	for name := range h.outputs {
		if filepath.Base(name) == "log" && h.outputs[name] == "" {
			return name
		}
	}
	return ""
}

// get keeps an answer of the admin listener.
func (h *hunt) get(path string) string {
	h.t.Helper()
	response, err := http.Get("http://" + h.admin + path)
	expect.NoError(h.t, err)
	defer response.Body.Close()
	var text bytes.Buffer
	_ = response.Write(&text)
	h.outputs["GET "+path+fmt.Sprint(len(h.outputs))] = text.String()
	return text.String()
}

// raw sends bytes to the public listener and keeps the answer. It closes the connection after an
// incomplete request.
func (h *hunt) raw(text string, whole bool) string {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.public)
	expect.NoError(h.t, err)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(bound))
	_, _ = io.WriteString(conn, text)
	if !whole {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	answer := make([]byte, 64<<10)
	n, _ := conn.Read(answer)
	h.outputs[fmt.Sprintf("answer %d to %.40q", len(h.outputs), text)] = string(answer[:n])
	return string(answer[:n])
}

// begin sends an incomplete body. The function that it returns waits for the answer.
func (h *hunt) begin() (end func()) {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.public)
	expect.NoError(h.t, err)
	h.t.Cleanup(func() { conn.Close() })
	_, _ = io.WriteString(conn, "POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: 100\r\nX-Flock-Signature: "+markedSignature+"\r\n\r\n"+markedBody)
	return func() {
		_ = conn.SetDeadline(time.Now().Add(bound))
		answer, _ := io.ReadAll(conn)
		if !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
			h.t.Errorf("half a body is answered %q", answer)
		}
		h.outputs["answer to half a body"] = string(answer)
	}
}

// collect is a collector that keeps the spans sent to it. Call end after the bridge has ended.
func (h *hunt) collect() (url string, end func()) {
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
			h.t.Errorf("no spans came: %q", all)
		}
		h.outputs["spans"] = all
	}
}

// deliver sends a body with headers, which are whole lines, and expects the beginning of the
// answer.
func (h *hunt) deliver(want, endpoint, body string, headers ...string) {
	h.t.Helper()
	lines := strings.Join(append(headers, ""), "\r\n")
	answer := ""
	poll.Until(h.t, "an answer", func() bool { // which is given up if a busy machine can't write it within a second
		answer = h.raw(fmt.Sprintf("POST /webhooks/%s HTTP/1.1\r\nHost: bridge\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n%s", endpoint, len(body), lines, body), true)
		return answer != ""
	})
	status, rest, _ := strings.Cut(strings.TrimPrefix(answer, "HTTP/1.1 "), " ")
	code, inBody, _ := strings.Cut(want, " ")
	if status != code || !strings.Contains(rest, `"`+inBody+`"`) {
		h.t.Errorf("%.60s is answered %s, want %s", body, answer, want)
	}
}

// sign signs with a secret, and adds the signature to the texts that must not be seen.
func (h *hunt) sign(header, key, text string) string {
	mac := secret.New(key).MAC([]byte(text))
	h.hidden = append(h.hidden, verify.Hex.Encode(mac), strings.ToUpper(verify.Hex.Encode(mac)),
		base64.RawStdEncoding.EncodeToString(mac[:]), base64.RawURLEncoding.EncodeToString(mac[:]), strings.Trim(fmt.Sprint(mac), "[]"))
	return header + ": " + verify.Hex.Encode(mac)
}

func (h *hunt) flock(body string) string { return h.sign("X-Flock-Signature", markedSecret+"-1", body) }

func (h *hunt) frigade(body string) string {
	text, err := stringify.Parse([]byte(body))
	expect.NoError(h.t, err)
	return h.sign("X-Webhook-Signature", markedSecret+"-3", string(text.Member("data")))
}

func flockBody(id string, at time.Time) string {
	return fmt.Sprintf(`{"name":"invitee.accepted","entity":"invitee","entityId":%[1]q,"data":{"invitee":{"id":%[1]q},"note":"%[2]s"},"timestamp":%[3]d}`, markedBody+id, markedBody, at.Unix())
}

// deliveries sends one delivery of every kind: good, bad and hostile.
func (h *hunt) deliveries(now time.Time, good string) {
	h.t.Helper()
	h.deliver("200 stored", "flock", good, h.flock(good))
	h.deliver("200 duplicate", "flock", good, h.flock(good))
	second := flockBody("second", now)
	h.deliver("200 stored", "flock", second, h.sign("X-Flock-Signature", markedSecret+"-2", second))
	unreadable := `{"data":{"x":"` + markedBody + `"}}`
	h.deliver("200 quarantined", "flock", unreadable, h.flock(unreadable))
	for code, at := range map[string]time.Time{"stale": now.Add(-time.Hour), "future": now.Add(time.Hour)} {
		body := flockBody(code, at)
		h.deliver("401 "+code, "flock", body, h.flock(body))
	}
	stamp := now.UTC().Format(time.RFC3339)
	contradiction := fmt.Sprintf(`{"type":"flowResponse.startedStep","time":%q,"data":{"id":%q,"actionType":"COMPLETED_STEP"}}`, stamp, markedBody)
	h.deliver("401 signature", "frigade", contradiction, h.frigade(contradiction))
	aged := fmt.Sprintf(`{"type":"flowResponse.completedStep","time":%q,"data":{"id":%q,"createdAt":"2001-01-01T00:00:00Z"}}`, stamp, markedBody)
	h.deliver("401 stale", "frigade", aged, h.frigade(aged))
	h.deliver("401 signature", "flock", good)
	h.deliver("401 signature", "flock", good, "X-Flock-Signature: "+markedSignature)
	h.deliver("401 signature", "flock", good, h.sign("X-Flock-Signature", markedSecret+"-none", good))
	h.deliver("401 signature", "flock", good, h.flock(good), "X-Flock-Signature: "+markedSignature)
	wrongScheme := fmt.Sprintf(`{"type":"flowResponse.completedStep","time":%q,"data":{"id":%q}}`, stamp, markedBody)
	h.deliver("401 signature", "frigade", wrongScheme, h.sign("X-Webhook-Signature", markedSecret+"-3", wrongScheme))
	h.deliver("401 signature", "frigade", strings.TrimSuffix(wrongScheme, "}")+`,"signature":"`+markedSignature+`"}`)
	for code, body := range map[string]string{
		"not_json": markedBody, "not_utf8": `{"` + markedBody + "\xff\":1}", "duplicate_member": `{"` + markedBody + `":1,"` + markedBody + `":2}`,
		"too_deep": `{"` + markedBody + `":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + "}",
	} {
		h.deliver("400 "+code, "flock", body, h.flock(body))
	}
	h.deliver("400 data_shape", "frigade", `{"type":"`+markedBody+`","data":{}}`)
	h.deliver("413 body_too_large", "flock", strings.Repeat(markedBody, 5<<18))       // 10 MiB, of MAX_BODY_BYTES 9
	large := strings.Replace(good, markedBody, strings.Repeat(markedBody, 17<<16), 1) // more than NATS takes, 8 MiB
	h.deliver("413 message_too_large", "flock", large, h.flock(large))
	h.deliver("415 content_encoding", "flock", "\x1f"+markedBody, "Content-Encoding: "+markedBody)
	h.deliver("404 not_found", "FLOCK//", good, h.flock(good))
	h.deliver("404 not_found", markedBody, good, h.flock(good))
	h.raw("GET /webhooks/flock?"+markedBody+" HTTP/1.1\r\nHost: "+markedBody+"\r\n\r\n", true)
	h.raw("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: 100\r\nX-Flock-Signature: "+markedSignature+"\r\n\r\n"+markedBody, false)
	h.raw("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nTransfer-Encoding: chunked\r\n\r\n"+markedBody+"\r\n", true)
	h.raw(markedBody+"\r\n\r\n", true)
	h.raw("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nX-Flock-Signature: "+strings.Repeat(markedSignature, 1<<13)+"\r\n\r\n", true)
	h.raw("POST /webhooks/flock HTTP/1.1\r\nX-Flock-Signature "+markedSignature+"\r\n\r\n", true)
}

// commands runs every command, with the environment of the bridge that writes that log, and with a
// wrong one.
func (h *hunt) commands(log string, pair tlstest.Pair) {
	h.t.Helper()
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
		{"send", "flock", "--url", "http://" + h.public},
		{"send", "flock", "--tamper", "--url", "http://" + h.public},
		{"send", "frigade", "--count", "3", "--url", "http://" + h.public},
		{"send", "nobody"},
		{"send", "flock", "--secret=" + "x"},
		{"send", "flock", "--url", "http://127.0.0.1:1"},
		{"serve", "flock"},
		{"tail", "--since", "1h", "--count", "3"},
		{"quarantine", "list"},
		{"quarantine", "release", "--all"},
		{"quarantine", "drop", "--all"},
	} {
		out := h.command([]string{server, "ADMIN_ADDR=" + h.admin}, args...)
		if args[0] == "quarantine" && args[1] == "list" {
			id := regexp.MustCompile(`[0-9a-f]{32}`).FindString(out)
			h.command([]string{server}, "quarantine", "show", id)
		}
	}
	// A wrong environment.
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
		h.command(bad, "config")
		h.command(bad, "config", "--check")
		h.command(append(bad, "LOG_FORMAT=x"), "serve")
		h.command(bad, "tail", "--count", "1", "--since", "1h")
		h.command(bad, "send", "flock", "--url", "http://"+h.public)
	}
}

// verify runs `bridge verify` on captures: a right one, and several that are wrong in other ways.
// The secrets are in the environment, the signatures in the captures.
func (h *hunt) verify(capture string) {
	h.t.Helper()
	for i, text := range []string{
		capture, strings.Replace(capture, markedBody, markedBody+"x", 1), strings.TrimSuffix(capture, "}"), markedBody,
		strings.Replace(capture, "X-Flock-Signature: ", "X-Flock-Signature: 01234567"+markedSignature, 1), // eight digits are shown
	} {
		file := filepath.Join(h.dir, fmt.Sprint("capture", i))
		expect.NoError(h.t, os.WriteFile(file, []byte(text), 0o600))
		h.command(nil, "verify", file)
		h.command(nil, "verify", "--at", "now", "flock", file)
		h.command(nil, "verify", "frigade", file)
		h.command(nil, "verify", "--headers", file, "--body", file)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
