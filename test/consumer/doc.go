// Package consumer tests event/consumer with a real nats-server, and with workers in processes of
// their own that are killed at every point between receipt, effect and acknowledgement.
package consumer
