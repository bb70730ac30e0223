package tracing

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// bridge is a running bridge.
type bridge struct {
	url, admin, nats string
	signature        string           // of the last delivery
	log              *strings.Builder // to be read once it has ended
	process          *exec.Cmd
	ended            chan error
}

// start starts a bridge with these variables, on an embedded server unless they say otherwise.
func start(t *testing.T, environ ...string) *bridge {
	t.Helper()
	public, admin, natsPort := freePort(), freePort(), freePort()
	b := &bridge{url: "http://127.0.0.1:" + public, admin: "http://127.0.0.1:" + admin, nats: "nats://127.0.0.1:" + natsPort, ended: make(chan error, 1)}
	b.process = exec.Command(binary, "serve")
	b.process.Dir = t.TempDir()
	b.process.Env = append([]string{
		"HTTP_ADDR=127.0.0.1:" + public, "ADMIN_ADDR=127.0.0.1:" + admin, "EMBEDDED_NATS_ADDR=127.0.0.1:" + natsPort,
		"FLOCK_SECRETS=" + key, "OTEL_BSP_SCHEDULE_DELAY=100",
		"PUBLISH_TIMEOUT=30s", // on a busy machine nothing is spooled
	}, environ...)
	isAway := false
	for _, variable := range environ {
		if addr, ok := strings.CutPrefix(variable, "EMBEDDED_NATS_ADDR="); ok {
			b.nats = "nats://" + addr
		}
		isAway = isAway || strings.HasPrefix(variable, "NATS_URL=")
	}
	b.log = new(strings.Builder)
	b.process.Stderr = b.log
	noError(t, b.process.Start())
	done := make(chan struct{})
	go func() {
		b.ended <- b.process.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		_ = b.process.Process.Kill()
		<-done
		if t.Failed() {
			t.Log(b.log)
		}
	})
	eventually(t, "the bridge is ready", func() bool {
		answer, err := http.Get(b.admin + "/readyz")
		if err != nil {
			return false
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		return err == nil && answer.StatusCode == http.StatusOK && (isAway || !strings.Contains(string(text), "events go to the spool"))
	})
	return b
}

// stop ends the bridge in order.
func (b *bridge) stop(t *testing.T) {
	t.Helper()
	noError(t, b.process.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-b.ended:
		b.ended <- err
		if err != nil {
			t.Errorf("SIGTERM: %v", err)
		}
	case <-time.After(patient):
		t.Error("SIGTERM doesn't end it")
	}
}

// deliver sends a signed delivery and returns the answer's status.
func (b *bridge) deliver(t *testing.T, header http.Header) (status string) {
	t.Helper()
	body := fmt.Sprintf(`{"name":"invitee.accepted","entity":"invitee","entityId":"customer_67890","timestamp":%d,"data":{"note":"marked-name"}}`, time.Now().Unix())
	b.signature = b.sign(body)
	header = header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	header.Set("X-Flock-Signature", b.signature)
	answer := b.post(t, body, header)
	var said struct{ Status string }
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("answered %s: %v", answer.Status, err)
	}
	return said.Status
}

func (b *bridge) sign(body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func (b *bridge) post(t *testing.T, body string, header http.Header) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/webhooks/flock", strings.NewReader(body))
	noError(t, err)
	request.Header = header
	answer, err := http.DefaultClient.Do(request)
	noError(t, err)
	text, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	answer.Body = io.NopCloser(strings.NewReader(string(text)))
	return answer
}

// message waits for the one message in the stream there.
func (b *bridge) message(t *testing.T, url string) jetstream.Msg {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(patient))
	noError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	noError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	consumer, err := js.OrderedConsumer(ctx, "WEBHOOKS", jetstream.OrderedConsumerConfig{})
	noError(t, err)
	m, err := consumer.Next(jetstream.FetchMaxWait(patient))
	noError(t, err)
	return m
}

var given atomic.Int64 // the number of ports that were given

// freePort returns a port on which nothing listens, and which no outgoing connection is given.
func freePort() string {
	for {
		port := fmt.Sprint(10_000 + (os.Getpid()*100+int(given.Add(1)))%20_000)
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return port
		}
		_ = c.Close()
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patient); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

// noError ends the test if there is an error.
func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
