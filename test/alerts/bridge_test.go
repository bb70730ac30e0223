//go:build alerts

package alerts

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/process"
)

const (
	key     = "alerting"
	patient = 3 * time.Minute // for what must come
)

// binary is the bridge, built for these tests.
var binary string

// seen holds the alerts that have fired or been resolved.
var seen sync.Map

func TestMain(m *testing.M) {
	natsdtest.Main()
	dir, err := os.MkdirTemp("", "alerts")
	if err == nil {
		binary = filepath.Join(dir, "bridge")
		err = process.Build(context.Background(), "-o", binary, "../../cmd/bridge")
	}
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	_ = os.RemoveAll(dir)
	os.Exit(code) //nolint:forbidigo // this is a main
}

// bridge is a running bridge.
type bridge struct {
	url, admin string
	environ    []string
	process    *process.Process
}

// startBridge starts a bridge with these variables. It keeps its addresses over restarts.
func startBridge(t *testing.T, environ ...string) *bridge {
	t.Helper()
	b := &bridge{url: natsdtest.FreeAddr(t), admin: natsdtest.FreeAddr(t)}
	b.environ = append([]string{"HTTP_ADDR=" + b.url, "ADMIN_ADDR=" + b.admin, "DATA_DIR=" + t.TempDir(), "EMBEDDED_NATS_ADDR=" + natsdtest.FreeAddr(t)}, environ...)
	b.start(t)
	return b
}

func (b *bridge) start(t *testing.T) {
	t.Helper()
	b.process = start(t, b.environ, binary, "serve")
	eventually(t, "the bridge answers", func() bool {
		answer, err := http.Get("http://" + b.admin + "/livez")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return true
	})
}

// sent is a delivery that is sent.
type sent struct {
	at    time.Time
	key   string // it is signed with
	name  string
	extra int // bytes in it
}

// send sends one delivery of Flock and returns the status.
func (b *bridge) send(t *testing.T, s sent) int {
	t.Helper()
	return b.sendTo(t, "/webhooks/flock", s)
}

func (b *bridge) sendTo(t *testing.T, path string, s sent) int {
	t.Helper()
	if s.at.IsZero() {
		s.at = time.Now()
	}
	if s.key == "" {
		s.key = key
	}
	body := fmt.Sprintf(`{"name":%q,"timestamp":%d,"data":{"pad":"%s","id":%d}}`, s.name, s.at.Unix(), strings.Repeat("x", s.extra), time.Now().UnixNano())
	signed, err := flock.Provider.Sign(verify.Signing{Scheme: verify.Payload, Key: secret.New(s.key), Body: []byte(body)})
	expect.NoError(t, err)
	scheme := "http"
	for _, v := range b.environ {
		if strings.HasPrefix(v, "TLS_CERT_FILE=") {
			scheme = "https"
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+b.url+path, bytes.NewReader([]byte(body)))
	expect.NoError(t, err)
	request.Header = signed
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	answer, err := client.Do(request)
	if err != nil {
		t.Logf("sending: %v", err)
		return 0
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

// start starts a program, which ends with the test.
func start(t *testing.T, environ []string, command ...string) *process.Process {
	t.Helper()
	p, err := process.Start(command[0], filepath.Join(t.TempDir(), "output"), environ, command...)
	expect.NoError(t, err)
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			text := p.Output()
			t.Logf("%s:\n%s", p.Name, text[max(0, len(text)-5000):])
		}
	})
	return p
}

func write(t *testing.T, file, text string) {
	t.Helper()
	expect.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}

// eventually is slower and more patient than poll.Until: alerts take their time, and what causes one
// is done at each look.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patient); !condition(); time.Sleep(300 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patient, what)
		}
	}
}
