// Package consumer holds event/consumer to what it promises: beside a real nats-server, with
// workers in processes of their own that are killed at every point between receipt, effect and
// acknowledgement.
package consumer
