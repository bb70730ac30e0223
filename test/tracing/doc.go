// Package tracing holds the built bridge to a receiver that isn't ours: the OpenTelemetry collector's own, for
// OTLP over HTTP. It is a module of its own, to keep the collector away from the product's dependencies.
package tracing
