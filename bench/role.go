package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// These variables tell a process of this program that it is a floor, and of which kind.
const (
	envAddr = "BENCH_FLOOR_ADDR"
	envNATS = "BENCH_FLOOR_NATS" // publishes there; where it is "", writes to
	envDir  = "BENCH_FLOOR_DIR"
)

// serveFloor is the floor in a process of its own. It ends with that.
func serveFloor() error {
	f := floor{secret: key.Key()}
	if url := os.Getenv(envNATS); url != "" {
		nc, err := nats.Connect(url)
		if err != nil {
			return fmt.Errorf("connecting the floor to NATS: %w", err)
		}
		js, err := jetstream.New(nc)
		if err != nil {
			return fmt.Errorf("using JetStream: %w", err)
		}
		f.keep = inJetStream(js)
	} else {
		var err error
		if f.keep, err = inFile(os.Getenv(envDir)); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", os.Getenv(envAddr)) //nolint:noctx // it doesn't wait
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/flock", f)
	server := &http.Server{Handler: mux} //nolint:gosec // the floor limits nothing
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
