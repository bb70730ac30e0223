//go:build linux

package main

import (
	"context"
	"path/filepath"
	"sync"

	"github.com/ade15e70/webhook-bridge/test/process"
)

// binaries are the programs of a run.
type binaries struct {
	bridge  string
	nats    string
	stepped func() (string, error) // a bridge whose clock can be stepped, built when it is first asked for
}

// build builds the programs, except for a nats-server that is given.
func build(ctx context.Context, dir, nats string) (b binaries, err error) {
	b.bridge, b.nats = filepath.Join(dir, "bridge"), filepath.Join(dir, "nats-server")
	if err := process.Build(ctx, "-o", b.bridge, "./cmd/bridge"); err != nil {
		return b, err
	}
	if nats != "" {
		b.nats = nats
	} else if err := process.Build(ctx, "-o", b.nats, "github.com/nats-io/nats-server/v2"); err != nil {
		return b, err
	}
	b.stepped = sync.OnceValues(func() (string, error) { // not before, and not beside a scenario: the machine's cores are the bridge's then
		stepped := filepath.Join(dir, "bridge-stepped")
		return stepped, buildStepped(ctx, dir, stepped)
	})
	return b, nil
}
