//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/poll"
	"github.com/ade15e70/webhook-bridge/test/process"
)

// patiently is the time to wait for a process to end.
const patiently = 20 * time.Second

// most is the memory that the bridge may take, unless an attack allows another amount.
const most = 256 << 20

// attack is something that anybody on the internet can do to the public port.
type attack struct {
	name  string
	about string
	short time.Duration // how long it takes at least to do what it came for
	env   []string
	run   func(context.Context, *siege) // until the context ends
	// evidence lists the counts that must not be zero, or the attack didn't take place.
	evidence []string
	// each: the processor's time is also printed for each of these counts.
	each string
	// busy: good deliveries may be answered 503, at most this part of them.
	busy float64
	// quarantined: it may leave something in quarantine.
	quarantined bool
	// kept is how many must be in quarantine afterwards, by the reason.
	kept map[string]uint64
	// files is how many the bridge may have open; 0 for no limit.
	files int
	// most is how much memory the bridge may take; 0 for what any attack may have it take. With memoryLimit it runs in
	// a container of that, where Go uses what there is.
	most int64
	// tls: the public port speaks it.
	tls bool
}

// stage is the common part of all attacks.
type stage struct {
	dir    string
	bridge string // the binary
	nats   *process.Process
	url    string
	cert   string // files of the public port's
	key    string
	nc     *nats.Conn
	js     jetstream.JetStream
}

func newStage(ctx context.Context, dir string) (s *stage, err error) {
	s = &stage{dir: dir, bridge: filepath.Join(dir, "bridge")}
	server := filepath.Join(dir, "nats-server")
	if err := errors.Join(process.Build(ctx, "-o", s.bridge, "./cmd/bridge"), process.Build(ctx, "-o", server, "github.com/nats-io/nats-server/v2")); err != nil {
		return nil, err
	}
	addrs, err := process.FreeAddrs(1)
	if err != nil {
		return nil, err
	}
	s.url = "nats://" + addrs[0]
	conf := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\nmax_payload: 8MB\njetstream { store_dir: %q }\n", addrs[0], filepath.Join(dir, "store"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("configuring nats-server: %w", err)
	}
	if s.cert, s.key, err = certificate(dir); err != nil {
		return nil, err
	}
	if s.nats, err = process.Start("nats-server", filepath.Join(dir, "nats.log"), nil, server, "-c", conf); err != nil {
		return nil, err
	}
	err = poll.Try(ctx, poll.Bound, "nats-server is there", func(context.Context) error {
		s.nc, err = nats.Connect(s.url)
		return err
	})
	if err == nil {
		s.js, err = jetstream.New(s.nc)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) close() {
	if s.nc != nil {
		s.nc.Close()
	}
	_ = s.nats.Stop(patiently)
}

// play runs one attack beside good senders, and checks the result.
func (s *stage) play(ctx context.Context, a attack, n int, short bool) (r result, err error) {
	addrs, err := process.FreeAddrs(2)
	if err != nil {
		return r, err
	}
	public, admin := addrs[0], addrs[1]
	stream := fmt.Sprintf("HOSTILE_%d", n)
	env := append([]string{
		"FLOCK_SECRETS=" + flockSecret, "NATS_URL=" + s.url, "HTTP_ADDR=" + public, "ADMIN_ADDR=" + admin, "DATA_DIR=" + filepath.Join(s.dir, a.name),
		"STREAM_NAME=" + stream, fmt.Sprintf("SUBJECT_PREFIX=hostile%d", n),
	}, a.env...)
	if a.tls {
		env = append(env, "TLS_CERT_FILE="+s.cert, "TLS_KEY_FILE="+s.key)
	}
	cage := container{files: a.files}
	if a.most == memoryLimit {
		cage = newContainer(fmt.Sprintf("hostile-%d-%d", os.Getpid(), n), a.files)
	}
	bridge, err := process.Start(a.name, filepath.Join(s.dir, a.name+".log"), env, cage.command(s.bridge, "serve")...)
	if err != nil {
		return r, err
	}
	defer func() {
		err = errors.Join(err, bridge.Stop(patiently), cage.close())
	}()
	if err := poll.Try(ctx, poll.Bound, "the bridge is ready", func(ctx context.Context) error { return ready(ctx, admin) }); err != nil {
		return r, err
	}
	before, err := bridge.CPU()
	if err != nil {
		return r, err
	}
	length := max(30*time.Second, a.short)
	if short {
		length = a.short
	}
	began := time.Now()
	r = result{attack: a, stream: stream, good: newGood(public, a.tls)}
	attacking, end := context.WithCancel(ctx)
	defer end()
	var senders sync.WaitGroup
	senders.Go(func() { r.good.run(attacking) })
	senders.Go(func() { r.probes, r.probeErr = probe(attacking, admin) })
	r.did, err = attackFrom(ctx, a, public, admin, length)
	end()
	senders.Wait()
	r.took = time.Since(began)
	if err != nil {
		return r, err
	}
	after, err := bridge.CPU()
	if err != nil {
		return r, err
	}
	r.cpu = after - before
	if r.peak, err = bridge.Peak(); err != nil {
		return r, err
	}
	if err := poll.Try(ctx, poll.Bound, "the spool is empty", func(ctx context.Context) error { return spoolIsEmpty(ctx, admin) }); err != nil {
		return r, err
	}
	return r, s.judge(ctx, bridge, &r)
}

func ready(ctx context.Context, admin string) error {
	_, err := get(ctx, "http://"+admin+"/readyz")
	return err
}

// probe polls the admin listener ten times a second, much more often than a kubelet, and returns
// the number of polls and the last error.
func probe(ctx context.Context, admin string) (n int, failed error) {
	for ; ctx.Err() == nil; n++ {
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		if _, err := get(asking, "http://"+admin+"/livez"); err != nil && ctx.Err() == nil {
			failed = err
		}
		cancel()
		pause(ctx, 100*time.Millisecond)
	}
	return n, failed
}

// spoolIsEmpty reports whether the metrics say so: events that were answered `spooled` must reach
// the stream, too.
func spoolIsEmpty(ctx context.Context, admin string) error {
	text, err := get(ctx, "http://"+admin+"/metrics")
	if err == nil && !strings.Contains(text, "webhook_bridge_spool_events{kind=\"event\"} 0\n") {
		err = errors.New("it isn't")
	}
	return err
}

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	request.Close = true // as a kubelet's probe is
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return string(text), err
}
