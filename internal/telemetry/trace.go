package telemetry

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// TraceParent and TraceState are W3C's names of a trace's context. They are in lower case, as in
// CloudEvents' distributed tracing extension, because NATS headers are case-sensitive.
const (
	TraceParent = "traceparent"
	TraceState  = "tracestate"
)

var w3c propagation.TraceContext

// Tracer begins traces.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	trust    bool // continue the traces of senders
	log      *zap.Logger
}

// Span is one step of a delivery.
type Span struct {
	span   trace.Span
	tracer trace.Tracer
}

// Receive begins the span of a delivery to an endpoint. It continues the sender's trace only if senders
// are trusted: an attacker could join other traces, or have all of its own recorded.
func (t *Tracer) Receive(r *http.Request, endpoint string) Span {
	if t == nil {
		return Span{}
	}
	ctx := context.Background()
	if t.trust {
		ctx = w3c.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	_, span := t.tracer.Start(ctx, http.MethodPost+" /webhooks/"+endpoint, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		semconv.HTTPRequestMethodPost,
		semconv.HTTPRoute("/webhooks/"+endpoint),
		attribute.String("webhook_bridge.endpoint", endpoint),
	))
	return Span{span, t.tracer}
}

// Resume returns the span of the delivery that became a message, so that later steps can be added. The
// message has traceParent and traceState.
func (t *Tracer) Resume(traceParent, traceState string) Span {
	if t == nil || traceParent == "" {
		return Span{}
	}
	ctx := w3c.Extract(context.Background(), propagation.MapCarrier{TraceParent: traceParent, TraceState: traceState})
	return Span{trace.SpanFromContext(ctx), t.tracer}
}

// RecordStep records a step of this span that is already over.
func (s Span) RecordStep(name string, began, ended time.Time) {
	if step := s.Step(name, trace.WithTimestamp(began)); step.span != nil {
		step.span.End(trace.WithTimestamp(ended))
	}
}

// Send begins the step in which a message is published on a subject.
func (s Span) Send(subject, id string) Span {
	if s.span == nil { // before the options are made
		return Span{}
	}
	return s.Step("send "+subject, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		semconv.MessagingSystemKey.String("nats"),
		semconv.MessagingOperationTypeSend,
		semconv.MessagingOperationName("publish"),
		semconv.MessagingDestinationName(subject),
		semconv.MessagingMessageID(id),
	))
}

// Step begins a step of this span.
func (s Span) Step(name string, options ...trace.SpanStartOption) Span {
	if s.span == nil || !s.span.SpanContext().IsSampled() {
		return Span{}
	}
	_, span := s.tracer.Start(trace.ContextWithSpan(context.Background(), s.span), name, options...)
	return Span{span, s.tracer}
}

// Context returns the span's context in W3C's form, even if the span isn't sampled; "" if tracing is off.
func (s Span) Context() (traceParent, traceState string) {
	if s.span == nil {
		return "", ""
	}
	carrier := propagation.MapCarrier{}
	w3c.Inject(trace.ContextWithSpan(context.Background(), s.span), carrier)
	return carrier[TraceParent], carrier[TraceState]
}

// ID returns the trace's id in hex, even after the span's end; "" if nothing is recorded.
func (s Span) ID() string {
	if s.span == nil || !s.span.SpanContext().IsSampled() {
		return ""
	}
	return s.span.SpanContext().TraceID().String()
}

// Answered ends the span of a delivery. id and eventType are those of its event; "" if there is none.
func (s Span) Answered(status int, outcome, id, eventType string) {
	if s.span == nil {
		return
	}
	s.span.SetAttributes(semconv.HTTPResponseStatusCode(status))
	if id != "" {
		s.span.SetAttributes(attribute.String("cloudevents.event_id", id), attribute.String("cloudevents.event_type", eventType))
	}
	// A sender's mistake doesn't fail the server's span (OpenTelemetry's conventions for HTTP).
	s.End(outcome, status >= http.StatusInternalServerError)
}

// End ends a step. The outcome is one word or "".
func (s Span) End(outcome string, failed bool) {
	if s.span == nil {
		return
	}
	if outcome != "" {
		s.span.SetAttributes(attribute.String("webhook_bridge.outcome", outcome))
	}
	if failed {
		s.span.SetStatus(codes.Error, outcome)
	}
	s.span.End()
}

type key struct{}

// Into returns a context with the span.
func (s Span) Into(ctx context.Context) context.Context {
	if s.span == nil {
		return ctx
	}
	return context.WithValue(ctx, key{}, s)
}

// SpanFrom returns the span that Into stored in ctx.
func SpanFrom(ctx context.Context) Span {
	s, _ := ctx.Value(key{}).(Span)
	return s
}
