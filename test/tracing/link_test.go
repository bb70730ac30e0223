package tracing

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// processing begins the span of an event's consumer.
func processing(ctx context.Context, tracer trace.Tracer, traceparent, tracestate string) (context.Context, trace.Span) {
	carrier := propagation.MapCarrier{"traceparent": traceparent, "tracestate": tracestate}
	received := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(ctx, carrier))
	return tracer.Start(ctx, "process event", trace.WithLinks(trace.Link{SpanContext: received}))
}
