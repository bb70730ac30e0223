// A module of its own, so that its importers need neither the newest Go nor what the bridge is built
// with. The go line is two releases back.
module github.com/ade15e70/webhook-bridge/event

go 1.24.0
