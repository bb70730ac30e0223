// Package tracing tests the built bridge with somebody else's receiver: the OpenTelemetry
// collector's own, for OTLP over HTTP. It is a module of its own, to keep the collector out of the
// product's dependencies.
package tracing
