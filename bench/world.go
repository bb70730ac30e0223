package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/poll"
	"github.com/ade15e70/webhook-bridge/test/process"
)

// world is a nats-server, a bridge and the floors, each in a process of its own.
type world struct {
	dir     string
	natsURL string
	js      jetstream.JetStream

	nats, floor, bridge        *server
	spoolFloor, spoolingBridge *server // without NATS
	processes                  []*server
}

// The binaries in a world's directory.
const (
	bridgeBin = "bridge"
	floorBin  = "floor"
	natsBin   = "nats-server"
)

// memoryDir is a file system in memory, on Linux, so that no disk is measured.
const memoryDir = "/dev/shm"

// newWorld builds and starts everything.
func newWorld() (*world, error) {
	parent := ""
	if info, err := os.Stat(memoryDir); err == nil && info.IsDir() {
		parent = memoryDir
	}
	dir, err := os.MkdirTemp(parent, "bench-")
	if err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	w := &world{dir: dir}
	if err := w.fill(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// fill builds and starts everything in the world's directory.
func (w *world) fill() error {
	if err := os.Setenv("CGO_ENABLED", "0"); err != nil { // all are built as the image's binary is
		return err
	}
	const module = "github.com/ade15e70/webhook-bridge"
	for bin, pkg := range map[string]string{bridgeBin: module + "/cmd/bridge", floorBin: module + "/bench", natsBin: "github.com/nats-io/nats-server/v2"} {
		if err := process.Build(context.Background(), "-trimpath", "-tags", "grpcnotrace", "-ldflags", "-s -w", "-o", w.path(bin), pkg); err != nil {
			return err
		}
	}
	nobody, err := process.FreeAddrs(1)
	if err != nil {
		return err
	}
	if err := w.startNATS(); err != nil {
		return err
	}
	if w.bridge, err = w.startBridge("bridge", "NATS_URL="+w.natsURL); err != nil {
		return err
	}
	if w.floor, err = w.startFloor("floor", envNATS+"="+w.natsURL); err != nil {
		return err
	}
	if w.spoolingBridge, err = w.startBridge("spooling bridge", "NATS_URL=nats://"+nobody[0], "SPOOL_MAX_BYTES=4GiB"); err != nil {
		return err
	}
	w.spoolFloor, err = w.startFloor("spool floor")
	return err
}

// path returns the path of one of a world's files.
func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) close() {
	for _, p := range slices.Backward(w.processes) {
		p.stop()
	}
	_ = os.RemoveAll(w.dir)
}

// startNATS starts a nats-server with its defaults: it writes to the store at once and syncs every
// two minutes.
func (w *world) startNATS() error {
	addrs, err := process.FreeAddrs(1)
	if err != nil {
		return err
	}
	addr := addrs[0]
	conf := filepath.Join(w.dir, "nats.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "listen: %q\njetstream { store_dir: %q, max_file_store: 8GB }\n", addr, filepath.Join(w.dir, "nats")), 0o600); err != nil {
		return err
	}
	if w.nats, err = w.start(server{addr: addr}, "nats-server", nil, w.path(natsBin), "-c", conf); err != nil {
		return err
	}
	w.natsURL = "nats://" + addr
	nc, err := nats.Connect(w.natsURL, nats.RetryOnFailedConnect(true))
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	w.js, err = jetstream.New(nc)
	return err
}

// startCluster starts so many servers that are one cluster, and returns their URLs.
func (w *world) startCluster(n int) (string, error) {
	addrs, err := process.FreeAddrs(2 * n)
	if err != nil {
		return "", err
	}
	addrs, routes := addrs[:n], addrs[n:]
	for i, addr := range addrs {
		name := fmt.Sprintf("n%d", i)
		conf := filepath.Join(w.dir, name+".conf")
		text := fmt.Sprintf("listen: %q\nserver_name: %s\njetstream { store_dir: %q, max_file_store: 8GB }\ncluster { name: c, listen: %q, routes: [ %s ] }\n",
			addr, name, filepath.Join(w.dir, name), routes[i], "nats://"+strings.Join(routes, ", nats://"))
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			return "", err
		}
		if _, err := w.start(server{addr: addr}, name, nil, w.path(natsBin), "-c", conf); err != nil {
			return "", err
		}
	}
	return "nats://" + strings.Join(addrs, ",nats://"), nil
}

// awaitStream waits until a stream has a leader.
func awaitStream(urls, name string) error {
	nc, err := nats.Connect(urls)
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	return poll.Try(context.Background(), poll.Bound, "stream "+name+" has a leader", func(ctx context.Context) error {
		_, err := js.Stream(ctx, name)
		return err
	})
}

// startBridge starts the bridge as it is shipped, on two free ports, and returns once it is ready.
func (w *world) startBridge(name string, env ...string) (*server, error) {
	addrs, err := process.FreeAddrs(2)
	if err != nil {
		return nil, err
	}
	s := server{addr: addrs[0], admin: addrs[1]}
	dir, err := os.MkdirTemp(w.dir, "data-")
	if err != nil {
		return nil, err
	}
	env = append(env, "HTTP_ADDR="+s.addr, "ADMIN_ADDR="+s.admin, "DATA_DIR="+dir, "FLOCK_SECRETS="+secretText)
	return w.start(s, name, env, w.path(bridgeBin), "serve")
}

// startFloor starts a floor.
func (w *world) startFloor(name string, env ...string) (*server, error) {
	addrs, err := process.FreeAddrs(1)
	if err != nil {
		return nil, err
	}
	return w.start(server{addr: addrs[0]}, name, append(env, envAddr+"="+addrs[0], envDir+"="+w.dir), w.path(floorBin))
}

// sweep empties the stream between rounds, so that earlier rounds don't slow later ones.
func (w *world) sweep() error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	stream, err := w.js.Stream(ctx, "WEBHOOKS")
	if err != nil {
		return fmt.Errorf("emptying the stream: %w", err)
	}
	return stream.Purge(ctx)
}

// ready is how long a bridge takes from its start until it is ready.
func (w *world) ready() (time.Duration, error) {
	began := time.Now()
	p, err := w.startBridge("bridge, started", "NATS_URL="+w.natsURL)
	took := time.Since(began)
	if p != nil {
		p.stop()
		w.processes = w.processes[:len(w.processes)-1]
	}
	return took, err
}
