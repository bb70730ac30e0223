package tracing

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// processing begins the span of a message's consumer.
func processing(ctx context.Context, tracer trace.Tracer, message jetstream.Msg) (context.Context, trace.Span) {
	carrier := propagation.MapCarrier{}
	for _, name := range []string{"traceparent", "tracestate"} {
		carrier[name] = message.Headers().Get(name)
	}
	received := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(ctx, carrier))
	return tracer.Start(ctx, "process "+message.Subject(), trace.WithLinks(trace.Link{SpanContext: received}))
}
