package tracing

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

// collector is the OpenTelemetry collector's receiver, and what it received.
type collector struct {
	addr string
	sink *consumertest.TracesSink
}

// newCollector starts one; more are settings of its HTTP server, by turns a name and a value.
func newCollector(t *testing.T, more ...any) *collector {
	t.Helper()
	c := &collector{addr: "127.0.0.1:" + freePort(), sink: new(consumertest.TracesSink)}
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	server := map[string]any{"endpoint": c.addr}
	for i := 0; i < len(more); i += 2 {
		server[more[i].(string)] = more[i+1]
	}
	noError(t, confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{"http": server}}).Unmarshal(config))
	receiver, err := factory.CreateTraces(t.Context(), receivertest.NewNopSettings(component.MustNewType("otlp")), config, c.sink)
	noError(t, err)
	noError(t, receiver.Start(context.Background(), componenttest.NewNopHost()))
	t.Cleanup(func() { _ = receiver.Shutdown(context.Background()) })
	return c
}

// spans calls f for each received span.
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

// hides fails if any of the texts is in the received spans.
func (c *collector) hides(t *testing.T, texts ...string) {
	t.Helper()
	for _, traces := range c.sink.AllTraces() {
		all, err := new(ptrace.JSONMarshaler).MarshalTraces(traces)
		noError(t, err)
		for _, text := range texts {
			if strings.Contains(string(all), text) {
				t.Errorf("%q stands in a span: %s", text, all)
			}
		}
	}
}
