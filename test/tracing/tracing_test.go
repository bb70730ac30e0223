package tracing

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

const (
	key     = "tracing-secret"
	patient = time.Minute // for what must come
)

// binary is the bridge, built for these tests.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tracing")
	if err == nil {
		binary = filepath.Join(dir, "bridge")
		build := exec.Command("go", "build", "-C", "../..", "-o", binary, "./cmd/bridge")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		err = build.Run()
	}
	code := 1
	if err == nil {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// An event's spans make one trace, and a consumer finds it in the message.
func TestStored(t *testing.T) {
	c := newCollector(t)
	b := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+c.addr, "OTEL_SERVICE_NAME=webhooks-of-ours")
	status := b.deliver(t, nil)
	m := b.message(t, b.nats)

	if status != "stored" {
		t.Errorf("answered %q", status)
	}
	parent := m.Headers().Get("traceparent")
	var envelope struct{ ID, Type, TraceParent, TraceState string }
	if err := json.Unmarshal(m.Data(), &envelope); err != nil || envelope.TraceParent != parent || envelope.TraceState != "" {
		t.Errorf("the envelope has traceparent %q, the header %q: %v", envelope.TraceParent, parent, err)
	}
	if _, upper := m.Headers()["Traceparent"]; upper {
		t.Error("the header is not in lower case")
	}
	spans := c.trace(t, parent, "POST /webhooks/flock", "verify", "send webhooks.flock.invitee.accepted")
	receive := spans["POST /webhooks/flock"]
	if want := fmt.Sprintf("00-%s-%s-01", receive.TraceID(), receive.SpanID()); parent != want {
		t.Errorf("traceparent is %s, the span is %s", parent, want)
	}
	if receive.Kind() != ptrace.SpanKindServer || !receive.ParentSpanID().IsEmpty() {
		t.Errorf("receiving is a span of kind %s with parent %s", receive.Kind(), receive.ParentSpanID())
	}
	send := spans["send webhooks.flock.invitee.accepted"]
	if send.Kind() != ptrace.SpanKindProducer {
		t.Errorf("sending is a span of kind %s", send.Kind())
	}
	for _, name := range []string{"verify", send.Name()} {
		if spans[name].ParentSpanID() != receive.SpanID() {
			t.Errorf("the parent of %s is %s", name, spans[name].ParentSpanID())
		}
	}
	for _, want := range []struct {
		span      ptrace.Span
		attribute string
		value     any
	}{
		{receive, "http.response.status_code", int64(200)},
		{receive, "http.route", "/webhooks/flock"},
		{receive, "webhook_bridge.outcome", "stored"},
		{receive, "cloudevents.event_id", envelope.ID},
		{receive, "cloudevents.event_type", envelope.Type},
		{send, "messaging.system", "nats"},
		{send, "messaging.destination.name", "webhooks.flock.invitee.accepted"},
		{send, "messaging.message.id", envelope.ID},
	} {
		if got, ok := want.span.Attributes().Get(want.attribute); !ok || got.AsRaw() != want.value {
			t.Errorf("%s of %s is %v, not %v", want.attribute, want.span.Name(), got.AsRaw(), want.value)
		}
	}
	if got := c.service(); got != "webhooks-of-ours" {
		t.Errorf("the service is called %q", got)
	}
	c.hides(t, key, b.signature, "customer_67890", "marked-name")
}

// What waited in the spool shows for how long, in the same trace.
func TestSpooled(t *testing.T) {
	c := newCollector(t)
	port := freePort(t)
	b := start(t, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://"+c.addr+"/v1/traces", "NATS_URL=nats://127.0.0.1:"+port)
	if status := b.deliver(t, nil); status != "spooled" {
		t.Fatalf("answered %q", status)
	}
	server := start(t, "EMBEDDED_NATS_ADDR=127.0.0.1:"+port)
	parent := b.message(t, server.nats).Headers().Get("traceparent")
	spans := c.trace(t, parent, "POST /webhooks/flock", "verify", "spool", "wait in spool", "send webhooks.flock.invitee.accepted")
	receive, wait, send := spans["POST /webhooks/flock"], spans["wait in spool"], spans["send webhooks.flock.invitee.accepted"]
	for _, s := range spans {
		if s.SpanID() != receive.SpanID() && s.ParentSpanID() != receive.SpanID() {
			t.Errorf("the parent of %s is %s", s.Name(), s.ParentSpanID())
		}
	}
	if wait.StartTimestamp() < receive.StartTimestamp() || wait.EndTimestamp() > send.EndTimestamp() || wait.EndTimestamp() <= receive.EndTimestamp() {
		t.Errorf("received from %v to %v, waited from %v to %v, sent until %v", receive.StartTimestamp().AsTime(), receive.EndTimestamp().AsTime(),
			wait.StartTimestamp().AsTime(), wait.EndTimestamp().AsTime(), send.EndTimestamp().AsTime())
	}
}

// A sender's trace is continued only where it is trusted.
func TestSendersTrace(t *testing.T) {
	c := newCollector(t)
	const theirs = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	header := http.Header{"Traceparent": {theirs}, "Tracestate": {"vendor=1"}}
	for _, trusted := range []bool{false, true} {
		b := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+c.addr, fmt.Sprintf("TRUST_TRACEPARENT=%t", trusted))
		b.deliver(t, header)
		m := b.message(t, b.nats)
		parent, state := m.Headers().Get("traceparent"), m.Headers().Get("tracestate")
		spans := c.trace(t, parent, "POST /webhooks/flock")
		if continued := strings.HasPrefix(parent, theirs[:36]); continued != trusted || (state == "vendor=1") != trusted {
			t.Errorf("trusted %t: traceparent is %s, tracestate %q", trusted, parent, state)
		}
		if child := spans["POST /webhooks/flock"].ParentSpanID().String() == theirs[36:52]; child != trusted {
			t.Errorf("trusted %t: the parent is %s", trusted, spans["POST /webhooks/flock"].ParentSpanID())
		}
	}
}

// A refusal is a trace too; what its sender chose isn't in it.
func TestRefused(t *testing.T) {
	c := newCollector(t)
	b := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+c.addr)
	if answer := b.post(t, `{"name":"marked-name"}`, http.Header{"X-Flock-Signature": {"6d61726b6564"}}); answer.StatusCode != http.StatusUnauthorized {
		t.Fatalf("answered %s", answer.Status)
	}
	span := c.await(t, func(s ptrace.Span) bool { return s.Name() == "POST /webhooks/flock" })
	if outcome, _ := span.Attributes().Get("webhook_bridge.outcome"); outcome.AsString() != "signature_malformed" || span.Status().Code() != ptrace.StatusCodeUnset {
		t.Errorf("the outcome is %q, the status %s", outcome.AsString(), span.Status().Code())
	}
	c.hides(t, "marked-name", "6d61726b6564")
}

// Without an endpoint for spans there is no trace of tracing; with one that nobody answers, events are kept all
// the same, and SIGTERM is heeded.
func TestWithoutCollector(t *testing.T) {
	b := start(t)
	b.deliver(t, http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}})
	if m := b.message(t, b.nats); m.Headers().Get("traceparent") != "" || strings.Contains(string(m.Data()), "traceparent") {
		t.Errorf("tracing is off: %v %s", m.Headers(), m.Data())
	}
	b = start(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:"+freePort(t))
	if status := b.deliver(t, nil); status != "stored" {
		t.Errorf("answered %q", status)
	}
	b.stop(t)
}

// What is not sampled is in no trace, and says so to whoever consumes the event.
func TestNotSampled(t *testing.T) {
	c := newCollector(t)
	b := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+c.addr, "OTEL_TRACES_SAMPLER=always_off")
	b.deliver(t, nil)
	if parent := b.message(t, b.nats).Headers().Get("traceparent"); !strings.HasSuffix(parent, "-00") {
		t.Errorf("traceparent is %q", parent)
	}
	b.stop(t)
	c.spans(func(s ptrace.Span) { t.Errorf("there is a span %s", s.Name()) })
}

// A sampler that goes by the parent goes by the sender's only where that is trusted.
func TestSendersSampling(t *testing.T) {
	c := newCollector(t)
	unsampled := http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}}
	for _, trusted := range []bool{false, true} {
		b := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+c.addr, fmt.Sprintf("TRUST_TRACEPARENT=%t", trusted))
		b.deliver(t, unsampled)
		parent := b.message(t, b.nats).Headers().Get("traceparent")
		if sampled := strings.HasSuffix(parent, "-01"); sampled == trusted {
			t.Errorf("trusted %t: traceparent is %s", trusted, parent)
		}
	}
}

// The collector may want TLS and a password. That is in no log line, also where it can't be read.
func TestCollectorsSecrets(t *testing.T) {
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS() // for its certificate only
	certificate.Close()
	dir := t.TempDir()
	cert, private := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pkcs8, err := x509.MarshalPKCS8PrivateKey(certificate.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, cert, "CERTIFICATE", certificate.Certificate().Raw)
	writePEM(t, private, "PRIVATE KEY", pkcs8)
	c := newCollector(t, "tls", map[string]any{"cert_file": cert, "key_file": private})
	for _, headers := range []string{"authorization=Bearer marked-password", "Bearer marked-password", "authorization=%ZZmarked-password"} {
		b := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT=https://"+c.addr, "OTEL_EXPORTER_OTLP_CERTIFICATE="+cert, "OTEL_EXPORTER_OTLP_HEADERS="+headers)
		b.deliver(t, nil)
		c.trace(t, b.message(t, b.nats).Headers().Get("traceparent"), "POST /webhooks/flock")
		b.stop(t)
		if strings.Contains(b.log.String(), "marked-password") {
			t.Errorf("%s: the log has the password:\n%s", headers, b.log)
		}
		for line := range strings.Lines(b.log.String()) {
			if !json.Valid([]byte(line)) {
				t.Errorf("a line of the log isn't JSON: %s", line)
			}
		}
	}
}

func writePEM(t *testing.T, file, kind string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The links of docs/tracing.md lead to the delivery's span.
func TestConsumersLink(t *testing.T) {
	c := newCollector(t)
	b := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+c.addr)
	b.deliver(t, http.Header{})
	m := b.message(t, b.nats)
	recorded := tracetest.NewSpanRecorder()
	_, span := processing(t.Context(), sdk.NewTracerProvider(sdk.WithSpanProcessor(recorded)).Tracer("consumer"), m)
	span.End()
	receive := c.trace(t, m.Headers().Get("traceparent"), "POST /webhooks/flock")["POST /webhooks/flock"]
	links := recorded.Ended()[0].Links()
	if len(links) != 1 || links[0].SpanContext.SpanID().String() != receive.SpanID().String() || links[0].SpanContext.TraceID().String() != receive.TraceID().String() {
		t.Errorf("the links are %v, the delivery's span is %s of %s", links, receive.SpanID(), receive.TraceID())
	}
}

// docs/tracing.md shows what that test runs.
func TestDocument(t *testing.T) {
	document, err := os.ReadFile("../../docs/tracing.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("link_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(code), "(context.Context, trace.Span) {\n")
	body, _, _ = strings.Cut(body, "}\n")
	var shown strings.Builder
	for line := range strings.Lines(body) {
		shown.WriteString("    " + strings.ReplaceAll(strings.TrimPrefix(line, "\t"), "\t", "    "))
	}
	if !strings.Contains(string(document), shown.String()) {
		t.Errorf("docs/tracing.md doesn't show:\n%s", &shown)
	}
}

// collector is the OpenTelemetry collector's receiver, and what it received.
type collector struct {
	addr string
	sink *consumertest.TracesSink
}

// newCollector starts one; more are settings of its HTTP server, by turns a name and a value.
func newCollector(t *testing.T, more ...any) *collector {
	t.Helper()
	c := &collector{addr: "127.0.0.1:" + freePort(t), sink: new(consumertest.TracesSink)}
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	server := map[string]any{"endpoint": c.addr}
	for i := 0; i < len(more); i += 2 {
		server[more[i].(string)] = more[i+1]
	}
	if err := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{"http": server}}).Unmarshal(config); err != nil {
		t.Fatal(err)
	}
	receiver, err := factory.CreateTraces(t.Context(), receivertest.NewNopSettings(component.MustNewType("otlp")), config, c.sink)
	if err != nil {
		t.Fatal(err)
	}
	if err := receiver.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = receiver.Shutdown(context.Background()) })
	return c
}

// spans calls f for each span that has come.
func (c *collector) spans(f func(ptrace.Span)) {
	for _, traces := range c.sink.AllTraces() {
		for _, resource := range traces.ResourceSpans().All() {
			for _, scope := range resource.ScopeSpans().All() {
				for _, span := range scope.Spans().All() {
					f(span)
				}
			}
		}
	}
}

// trace waits for the spans of these names in the trace, and fails for any other in it.
func (c *collector) trace(t *testing.T, traceParent string, names ...string) map[string]ptrace.Span {
	t.Helper()
	if len(traceParent) < 36 {
		t.Fatalf("traceparent is %q", traceParent)
	}
	found := make(map[string]ptrace.Span)
	eventually(t, fmt.Sprintf("the spans %q have come", names), func() bool {
		c.spans(func(s ptrace.Span) {
			if s.TraceID().String() == traceParent[3:35] {
				found[s.Name()] = s
			}
		})
		for _, name := range names {
			if _, ok := found[name]; !ok {
				return false
			}
		}
		return true
	})
	return found
}

func (c *collector) await(t *testing.T, is func(ptrace.Span) bool) (found ptrace.Span) {
	t.Helper()
	eventually(t, "a span has come", func() (ok bool) {
		c.spans(func(s ptrace.Span) {
			if is(s) {
				found, ok = s, true
			}
		})
		return ok
	})
	return found
}

func (c *collector) service() string {
	name, _ := c.sink.AllTraces()[0].ResourceSpans().At(0).Resource().Attributes().Get("service.name")
	return name.AsString()
}

// hides fails where any of the texts stands in what has come.
func (c *collector) hides(t *testing.T, texts ...string) {
	t.Helper()
	for _, traces := range c.sink.AllTraces() {
		all, err := new(ptrace.JSONMarshaler).MarshalTraces(traces)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if strings.Contains(string(all), text) {
				t.Errorf("%q stands in a span: %s", text, all)
			}
		}
	}
}

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
	public, admin, natsPort := freePort(t), freePort(t), freePort(t)
	b := &bridge{url: "http://127.0.0.1:" + public, admin: "http://127.0.0.1:" + admin, nats: "nats://127.0.0.1:" + natsPort, ended: make(chan error, 1)}
	b.process = exec.Command(binary, "serve")
	b.process.Dir = t.TempDir()
	b.process.Env = append([]string{"HTTP_ADDR=127.0.0.1:" + public, "ADMIN_ADDR=127.0.0.1:" + admin, "EMBEDDED_NATS_ADDR=127.0.0.1:" + natsPort,
		"FLOCK_SECRETS=" + key, "OTEL_BSP_SCHEDULE_DELAY=100"}, environ...)
	for _, variable := range environ {
		if addr, ok := strings.CutPrefix(variable, "EMBEDDED_NATS_ADDR="); ok {
			b.nats = "nats://" + addr
		}
	}
	b.log = new(strings.Builder)
	b.process.Stderr = b.log
	if err := b.process.Start(); err != nil {
		t.Fatal(err)
	}
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
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return b
}

// stop ends the bridge in order.
func (b *bridge) stop(t *testing.T) {
	t.Helper()
	if err := b.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
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
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	b.signature = hex.EncodeToString(mac.Sum(nil))
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

func (b *bridge) post(t *testing.T, body string, header http.Header) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/webhooks/flock", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
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
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	consumer, err := js.OrderedConsumer(ctx, "WEBHOOKS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := consumer.Next(jetstream.FetchMaxWait(patient))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	return port
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patient); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}
