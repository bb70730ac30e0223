package tracing

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
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

// An event's wait in the spool is a span in the same trace.
func TestSpooled(t *testing.T) {
	c := newCollector(t)
	port := freePort()
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

// A refused delivery has a trace, too, and its log line names it. Nothing that its sender chose is
// in it.
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

	unreadable := `{"marked":"marked-name"}`
	if answer := b.post(t, unreadable, http.Header{"X-Flock-Signature": {b.sign(unreadable)}}); answer.StatusCode != http.StatusOK {
		t.Fatalf("answered %s", answer.Status)
	}
	kept := c.await(t, func(s ptrace.Span) bool {
		outcome, _ := s.Attributes().Get("webhook_bridge.outcome")
		return s.Kind() == ptrace.SpanKindServer && outcome.AsString() == "quarantined"
	})
	b.stop(t)
	for _, s := range []ptrace.Span{span, kept} {
		if want := fmt.Sprintf(`"trace_id":"%s"`, s.TraceID()); !strings.Contains(b.log.String(), want) {
			t.Errorf("no line of the log has %s:\n%s", want, b.log)
		}
	}
}

// Without an endpoint for spans nothing is traced; with one that doesn't answer, events are stored
// all the same, and SIGTERM works.
func TestWithoutCollector(t *testing.T) {
	b := start(t)
	b.deliver(t, http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}})
	if m := b.message(t, b.nats); m.Headers().Get("traceparent") != "" || strings.Contains(string(m.Data()), "traceparent") {
		t.Errorf("tracing is off: %v %s", m.Headers(), m.Data())
	}
	b = start(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:"+freePort())
	if status := b.deliver(t, nil); status != "stored" {
		t.Errorf("answered %q", status)
	}
	b.stop(t)
}

// A failure to send spans is logged once, however many are lost, and again once it is over.
func TestCollectorRefuses(t *testing.T) {
	var asked, takes atomic.Int32
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if takes.Load() == 0 {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer collector.Close()
	b := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL)
	for range 3 {
		before := asked.Load()
		b.deliver(t, nil)
		eventually(t, "the spans are offered to the collector", func() bool { return asked.Load() > before })
	}
	takes.Store(1)
	before := asked.Load()
	b.deliver(t, nil)
	eventually(t, "spans are sent", func() bool { return asked.Load() > before })
	b.stop(t)
	log := b.log.String()
	for _, text := range []string{"spans can't be sent", "spans are sent again"} {
		if n := strings.Count(log, text); n != 1 {
			t.Errorf("%q is in the log %d times, not once", text, n)
		}
	}
	if strings.Contains(log, "OpenTelemetry reports an error") {
		t.Error("the SDK logs each batch")
	}
}

// An event that is not sampled is in no trace, and its traceparent says so.
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

// A parent-based sampler follows the sender's decision only if the sender is trusted.
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

// The collector may require TLS and a password. The password is in no log line, even if the URL
// can't be read.
func TestCollectorsSecrets(t *testing.T) {
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS() // for its certificate only
	certificate.Close()
	dir := t.TempDir()
	cert, private := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pkcs8, err := x509.MarshalPKCS8PrivateKey(certificate.TLS.Certificates[0].PrivateKey)
	noError(t, err)
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
	noError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600))
}

// The links of docs/tracing.md lead to the delivery's span.
func TestConsumersLink(t *testing.T) {
	c := newCollector(t)
	b := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+c.addr)
	b.deliver(t, http.Header{})
	m := b.message(t, b.nats)
	recorded := tracetest.NewSpanRecorder()
	_, span := processing(t.Context(), sdk.NewTracerProvider(sdk.WithSpanProcessor(recorded)).Tracer("consumer"), m.Headers().Get("traceparent"), m.Headers().Get("tracestate"))
	span.End()
	receive := c.trace(t, m.Headers().Get("traceparent"), "POST /webhooks/flock")["POST /webhooks/flock"]
	links := recorded.Ended()[0].Links()
	if len(links) != 1 || links[0].SpanContext.SpanID().String() != receive.SpanID().String() || links[0].SpanContext.TraceID().String() != receive.TraceID().String() {
		t.Errorf("the links are %v, the delivery's span is %s of %s", links, receive.SpanID(), receive.TraceID())
	}
}

// docs/tracing.md shows the code that the test runs.
func TestDocument(t *testing.T) {
	document, err := os.ReadFile("../../docs/tracing.md")
	noError(t, err)
	code, err := os.ReadFile("link_test.go")
	noError(t, err)
	_, body, _ := strings.Cut(string(code), "(context.Context, trace.Span) {\n")
	body, _, _ = strings.Cut(body, "\n}\n")
	var shown strings.Builder
	for line := range strings.Lines(body + "\n") {
		shown.WriteString(strings.TrimPrefix(line, "\t"))
	}
	if !strings.Contains(string(document), "```go\n"+shown.String()+"```\n") {
		t.Errorf("docs/tracing.md doesn't show:\n%s", &shown)
	}
}
