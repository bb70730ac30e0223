package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// binaries are the programs of a run.
type binaries struct {
	bridge  string
	nats    string
	stepped func() (string, error) // a bridge whose clock can be stepped; waits until it is built
}

// build builds what is run.
func build(ctx context.Context, dir string) (b binaries, err error) {
	b.bridge, b.nats = filepath.Join(dir, "bridge"), filepath.Join(dir, "nats-server")
	if err := goBuild(ctx, "-o", b.bridge, "./cmd/bridge"); err != nil {
		return b, err
	}
	if err := goBuild(ctx, "-o", b.nats, "github.com/nats-io/nats-server/v2"); err != nil {
		return b, err
	}
	stepped, done := filepath.Join(dir, "bridge-stepped"), make(chan error, 1)
	go func() { done <- buildStepped(ctx, dir, stepped) }()
	b.stepped = func() (string, error) {
		err := <-done
		done <- err
		return stepped, err
	}
	return b, nil
}

func goBuild(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build"}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s: %w", args[len(args)-1], err)
	}
	return nil
}
