// A module of its own, so that its importers need neither the newest Go nor what the bridge is built
// with. The go line is two releases back.
module github.com/ade15e70/webhook-bridge/event

go 1.24.0

require github.com/nats-io/nats.go v1.49.0 // the newest that Go 1.24 builds

require (
	github.com/klauspost/compress v1.18.2 // indirect
	github.com/nats-io/nkeys v0.4.12 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	golang.org/x/crypto v0.46.0 // indirect
	golang.org/x/sys v0.39.0 // indirect
)
