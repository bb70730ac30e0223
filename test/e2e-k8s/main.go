// E2e-k8s shows on the cluster of the current kubectl context what docs/kubernetes.md promises. It
// builds and loads the image, applies overlays/dev, later durable-spool, overlays/production and the
// chart, and does to them what happens to pods, while a sender sends signed deliveries and counts
// every answer. It needs a cluster that nobody else uses, about half an hour, docker and kubectl.
//
//	make e2e-k8s LOAD='kind load docker-image'
//
// The namespaces that it makes are removed first and last.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e-k8s:", err)
		os.Exit(1)
	}
}

func run() error {
	docker := flag.String("docker", "docker", "the command to build images with")
	load := flag.String("load", "", "the command that makes images known to the cluster, called with their names (default: by the context's name, for kind, minikube and k3d)")
	args := flag.String("build-args", "", "further arguments of docker build")
	rate := flag.Int("rate", 60, "deliveries a second")
	only := flag.String("only", "", "part to run: empty-dir, durable-spool, production or chart (default: all)")
	busy := flag.Int("busy", 0, "how many deliveries may be answered 503, where other work makes the disk stall for a second")
	keep := flag.Bool("keep", false, "leave everything there at the end")
	reload := flag.Duration("reload", 150*time.Second, "how long the bridges may take to read a changed Secret, before they are restarted for it")
	skip := flag.Bool("skip-images", false, "the images are there already")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	w := &world{rate: *rate, busy: *busy, reload: *reload}
	images := imagery{docker: strings.Fields(*docker), args: strings.Fields(*args), load: strings.Fields(*load)}
	began := time.Now()
	if !*skip {
		if err := images.make(ctx); err != nil {
			return err
		}
	}
	if err := w.clear(ctx); err != nil {
		return err
	}
	if !*keep {
		defer func() { _ = w.clear(context.WithoutCancel(ctx)) }()
	}
	for _, part := range []struct {
		name string
		run  func(context.Context, *world) error
	}{{"empty-dir", emptyDir}, {"durable-spool", durableSpool}, {"production", production}, {"chart", chart}} {
		if *only != "" && *only != part.name {
			continue
		}
		w.part = part.name
		if err := part.run(ctx, w); err != nil {
			w.describe(context.WithoutCancel(ctx))
			w.report()
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	w.report()
	fmt.Printf("\nAll held, in %s.\n", time.Since(began).Round(time.Second))
	return nil
}
