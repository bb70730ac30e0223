package app

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

func TestMain(m *testing.M) { natsdtest.VerifyTestMain(m) }

const (
	flockSecret   = "flock-secret"
	frigadeSecret = "frigade-secret"
)

// bridge is a whole bridge, running in this process and reached through real sockets.
type bridge struct {
	*App
	t    *testing.T
	log  *expect.Buffer
	js   jetstream.JetStream
	stop func() error // stops the bridge, and waits for its end
}

// start runs a bridge with both endpoints, on an embedded server unless the variables say
// otherwise.
func start(t *testing.T, vars ...string) *bridge {
	t.Helper()
	c, _, err := config.Load(append([]string{
		"FLOCK_SECRETS=" + flockSecret + ",flock-older", "FRIGADE_SECRETS=" + frigadeSecret, "HTTP_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0",
		"EMBEDDED_NATS_ADDR=127.0.0.1:0", "DATA_DIR=" + t.TempDir(), "LOG_LEVEL=debug",
		"PUBLISH_TIMEOUT=30s", // the disk may be slow
	}, vars...))
	expect.NoError(t, err)
	b := &bridge{t: t, log: &expect.Buffer{}}
	log := telemetry.NewLogger(b.log, "json", "debug")
	if b.App, err = New(t.Context(), c, "test", log); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	b.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := b.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	if b.config.IsEmbedded() {
		b.js = natsdtest.Connect(t, b.NATSURL())
		b.await("ready", func() bool {
			return len(b.durability().Reasons) == 0 && b.publisher.Ready(publish.Event) == nil && b.publisher.Ready(publish.Quarantined) == nil
		})
	}
	return b
}

// await waits until a condition holds.
func (b *bridge) await(what string, condition func() bool) {
	b.t.Helper()
	if !poll.Holds(condition) {
		b.t.Fatalf("not %s after %s; log:\n%s", what, poll.Bound, b.log)
	}
}

// awaitMetric waits until /metrics has a line that begins so.
func (b *bridge) awaitMetric(line string) {
	b.t.Helper()
	b.await("in the metrics: "+line, func() bool {
		_, text := b.admin("/metrics")
		return strings.Contains(text, "\n"+line)
	})
}

// stored returns how many events are stored.
func (b *bridge) stored() uint64 { return b.messages("WEBHOOKS") }

// messages returns how many messages a stream has.
func (b *bridge) messages(name string) uint64 {
	b.t.Helper()
	return b.stream(name).CachedInfo().State.Msgs
}

// stream returns a stream, once it is listed: nats-server 2.15.3 acknowledges messages before.
func (b *bridge) stream(name string) (stream jetstream.Stream) {
	b.t.Helper()
	b.await("listed: "+name, func() bool {
		var err error
		stream, err = b.js.Stream(b.t.Context(), name)
		return err == nil
	})
	return stream
}

// answer is a response.
type answer struct {
	*http.Response
	body   string
	code   string // of a problem
	id     string
	result string // the status in a 200's body
}

func (a answer) String() string { return fmt.Sprint(a.StatusCode, " ", a.result, a.code) }

// dial opens a connection to the public listener.
func (b *bridge) dial() *conn {
	b.t.Helper()
	c, err := net.Dial("tcp", b.PublicAddr())
	expect.NoError(b.t, err)
	b.t.Cleanup(func() { _ = c.Close() })
	return &conn{Conn: c, t: b.t, reader: bufio.NewReader(c)}
}

type conn struct {
	net.Conn
	t      *testing.T
	reader *bufio.Reader
}

func (c *conn) write(text string) {
	c.t.Helper()
	expect.NoError(c.t, expect.Err(io.WriteString(c, text)))
}

// read reads one answer.
func (c *conn) read(method string) answer {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	response, err := http.ReadResponse(c.reader, &http.Request{Method: method}) //nolint:bodyclose // read to its end, and the connection is ours
	expect.NoErrorf(c.t, err, "reading answer")
	body, err := io.ReadAll(response.Body)
	expect.NoErrorf(c.t, err, "reading answer")
	a := answer{Response: response, body: string(body)}
	var problem struct {
		ID, Title, Code string
		Status          any
	}
	if method != http.MethodHead {
		expect.NoErrorf(c.t, json.Unmarshal(body, &problem), "%s: %q is not JSON", response.Status, body)
	}
	a.code, a.id = problem.Code, problem.ID
	switch response.StatusCode {
	case http.StatusOK:
		a.result = fmt.Sprint(problem.Status)
		expect.Equal(c.t, "application/json", response.Header.Get("Content-Type"), "Content-Type")
	default:
		expect.Equal(c.t, "application/problem+json", response.Header.Get("Content-Type"), "Content-Type")
		if method != http.MethodHead && (problem.Title == "" || problem.Code == "" || problem.Status != float64(response.StatusCode)) {
			c.t.Errorf("problem without title, code or status: %s", body)
		}
	}
	return a
}

// post sends one delivery on a connection of its own. headers are whole lines.
func (b *bridge) post(endpoint, body string, headers ...string) answer {
	b.t.Helper()
	c := b.dial()
	c.write(request(endpoint, body, headers...))
	return c.read(http.MethodPost)
}

func request(endpoint, body string, headers ...string) string {
	return fmt.Sprintf("POST /webhooks/%s HTTP/1.1\r\nHost: bridge\r\nContent-Length: %d\r\n%s\r\n%s", endpoint, len(body), lines(headers), body)
}

func lines(headers []string) string {
	var b strings.Builder
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	return b.String()
}

// open returns how many connections to the public listener are open.
func (b *bridge) open() int {
	n, _ := b.handler.Conns.Connections()
	return n
}
