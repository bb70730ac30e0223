package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// profile writes a processor profile of a bridge under a closed loop of 32 connections to a file,
// to be read with go tool pprof, or built with (go build -pgo).
func profile(w *world, file string, took time.Duration) error {
	p, err := w.startBridge("bridge, profiled", "NATS_URL="+w.natsURL, "PPROF=true")
	if err != nil {
		return err
	}
	l := load{connections: 32}
	clients, err := l.clients(p.addr)
	if err != nil {
		return err
	}
	defer target{p, clients}.close()
	if _, err := l.run(clients, time.Second); err != nil { // warm
		return err
	}
	loaded := make(chan error, 1)
	go func() {
		_, err := l.run(clients, took+time.Second)
		loaded <- err
	}()
	response, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", p.admin, took.Seconds())) //nolint:noctx // it has a bound
	if err != nil {
		return fmt.Errorf("profiling: %w", err)
	}
	defer response.Body.Close()
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, response.Body); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return <-loaded
}
