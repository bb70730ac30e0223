package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/ade15e70/webhook-bridge/test/poll"
	"github.com/ade15e70/webhook-bridge/test/process"
)

// server is a process that is measured.
type server struct {
	*process.Process
	addr  string // of its public listener
	admin string // of its admin listener; "" for others
}

// start starts one, and returns once it listens, or once its admin listener says that it is ready.
func (w *world) start(s server, name string, env []string, command ...string) (*server, error) {
	var err error
	output := filepath.Join(w.dir, fmt.Sprintf("%d.log", len(w.processes)))
	if s.Process, err = process.Start(name, output, append(os.Environ(), env...), command...); err != nil {
		return nil, err
	}
	w.processes = append(w.processes, &s)
	if poll.Holds(func() bool { return s.ready() || !s.Runs() }) && s.Runs() {
		return &s, nil
	}
	return nil, fmt.Errorf("%s isn't ready: %s", name, s.Output())
}

// stop ends the process.
func (s *server) stop() { _ = s.Stop(10 * time.Second) }

func (s *server) ready() bool {
	if s.admin != "" {
		return answers("http://" + s.admin + "/readyz")
	}
	return listens(s.addr)
}

func listens(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second) //nolint:noctx // it has a bound
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// answers reports whether a GET is answered 200.
func answers(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
