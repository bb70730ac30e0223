//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ade15e70/webhook-bridge/test/poll"
	"github.com/ade15e70/webhook-bridge/test/process"
)

// patiently is the time to wait for anything that must come. It says nothing about speed.
const patiently = 90 * time.Second

// world is everything that runs in one scenario.
type world struct {
	ctx      context.Context
	scenario scenario
	dir      string
	binaries binaries
	rng      *rand.Rand
	say      func(format string, args ...any)
	tally    *tally
	ledger   *ledger
	control  *control
	nats     []*natsServer
	bridges  []*bridge
	outside  *outside
	load     *load
	deleted  []deletion // of the stream of events
	memory   int64      // the most that a bridge had resident
	lift     []func()   // ends what outlives a scenario: mounts
	ready    sync.Map   // by bridge: what the balancer thinks of it
}

// newWorld starts everything except the senders.
func newWorld(ctx context.Context, s scenario, seed uint64, dir string, b binaries, c *control, say func(string, ...any)) (w *world, err error) {
	w = &world{ctx: ctx, scenario: s, dir: dir, binaries: b, rng: rand.New(rand.NewPCG(seed, 0)), say: say, tally: &tally{}, control: c}
	w.ledger = newLedger(s.rules, w.tally, w)
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err := w.startNATS(); err != nil {
		return w, err
	}
	if err := w.layOutBridges(); err != nil {
		return w, err
	}
	if err := w.connectOutside(); err != nil {
		return w, err
	}
	if s.prepare != nil {
		if err := s.prepare(w); err != nil {
			return w, fmt.Errorf("preparing: %w", err)
		}
	}
	if err := w.startBridges(); err != nil {
		return w, err
	}
	w.load = &load{ledger: w.ledger, client: newClient(), pick: w.balance, run: fmt.Sprintf("%s-%d", s.name, seed), seed: seed, pace: 15 * time.Millisecond}
	return w, nil
}

func (w *world) startNATS() error {
	addrs, err := process.FreeAddrs(3 * w.scenario.nats)
	if err != nil {
		return err
	}
	var routes []string
	if w.scenario.nats > 1 && !w.scenario.leaf {
		routes = addrs[2*w.scenario.nats:]
	}
	for i := range w.scenario.nats {
		s := &natsServer{name: fmt.Sprintf("nats-%d", i+1), addr: addrs[i], binary: w.binaries.nats, dir: filepath.Join(w.dir, fmt.Sprintf("nats-%d", i+1)), routes: routes}
		if routes != nil {
			s.route = routes[i]
		}
		upstream := s.addr
		if w.scenario.leaf {
			upstream = s.link(i == 0, addrs[2*w.scenario.nats], addrs[w.scenario.nats])
		}
		w.nats = append(w.nats, s)
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return fmt.Errorf("making directory: %w", err)
		}
		if err := s.configure(mayAll); err != nil {
			return err
		}
		if err := s.start(); err != nil {
			return err
		}
		if s.proxy, err = newProxy(addrs[w.scenario.nats+i], upstream); err != nil {
			return err
		}
	}
	return nil
}

// layOutBridges chooses the bridges' addresses and configurations.
func (w *world) layOutBridges() error {
	addrs, err := process.FreeAddrs(2*w.scenario.bridges + 1)
	if err != nil {
		return err
	}
	env := append([]string{
		"FLOCK_SECRETS=flock of this run", "FRIGADE_SECRETS=frigade of this run", "NATS_USER=bridge", "NATS_PASSWORD=bridge",
		"EMBEDDED_NATS_ADDR=" + addrs[2*w.scenario.bridges],
	}, w.scenario.env...)
	if url := w.proxies(); url != "" {
		env = append(env, "NATS_URL="+url)
	}
	if len(w.nats) == 3 {
		env = append(env, "STREAM_REPLICAS=3")
	}
	for i := range w.scenario.bridges {
		name := fmt.Sprintf("bridge-%d", i+1)
		b := &bridge{
			name: name, public: addrs[2*i], admin: addrs[2*i+1], dir: filepath.Join(w.dir, name), log: filepath.Join(w.dir, name+".log"),
			command: []string{w.binaries.bridge, "serve"}, count: w.tally.add, client: newClient().Client,
		}
		if err := os.MkdirAll(b.dir, 0o700); err != nil {
			return fmt.Errorf("making directory: %w", err)
		}
		b.env = append(slices.Clone(env), "HTTP_ADDR="+b.public, "ADMIN_ADDR="+b.admin, "DATA_DIR="+b.dir)
		w.bridges = append(w.bridges, b)
	}
	w.embedded(addrs[2*w.scenario.bridges])
	return nil
}

// embedded registers a bridge's embedded server like any other.
func (w *world) embedded(addr string) {
	if len(w.nats) == 0 {
		w.nats = []*natsServer{{name: "embedded", addr: addr}}
	}
}

func (w *world) isEmbedded() bool { return w.scenario.nats == 0 }

// proxies is the NATS_URL of the bridges.
func (w *world) proxies() string {
	servers := w.nats
	if w.scenario.leaf {
		servers = w.nats[1:]
	}
	var urls []string
	for _, s := range servers {
		urls = append(urls, "nats://"+s.proxy.Listen)
	}
	return strings.Join(urls, ",")
}

func (w *world) connectOutside() (err error) {
	var urls []string
	for _, s := range w.nats {
		urls = append(urls, "nats://"+s.addr)
	}
	if w.scenario.leaf {
		urls = urls[:1]
	}
	credentials := nats.UserInfo("admin", "admin")
	if w.isEmbedded() {
		credentials = nats.UserInfo("bridge", "bridge")
	}
	if w.outside, err = connect(urls, credentials); err != nil {
		return err
	}
	leads := make(map[string]string) // by stream; its first leader is no change
	_, err = w.outside.nc.Subscribe("$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.>", func(m *nats.Msg) {
		var said struct{ Stream, Leader string }
		if json.Unmarshal(m.Data, &said) != nil {
			return
		}
		if last := leads[said.Stream]; last != "" && last != said.Leader {
			w.tally.add(leaders, 1)
		}
		leads[said.Stream] = said.Leader
	})
	return err
}

func (w *world) startBridges() error {
	if len(w.nats) > 1 { // a cluster needs a moment until it has a leader
		if err := poll.Try(w.ctx, patiently, "the cluster has a leader", func(ctx context.Context) error {
			_, err := w.outside.js.AccountInfo(ctx)
			return err
		}); err != nil {
			return err
		}
	}
	for _, b := range w.bridges {
		if err := b.start(w.ctx); err != nil {
			return err
		}
		go b.watch(w.ctx)
		go w.probe(b)
		go b.starvation.watch(w.ctx, b.pid)
	}
	return poll.Try(w.ctx, patiently, "every bridge is connected", func(ctx context.Context) error {
		for _, b := range w.bridges {
			m, err := b.scrape(ctx)
			if err != nil {
				return err
			}
			if m.sum("webhook_bridge_nats_connected") != 1 {
				return errors.New(b.name + " isn't")
			}
			for _, stream := range []string{eventsStream, quarantineStream} { // an embedded server's cost goroutines
				if _, err := w.outside.js.Stream(ctx, stream); err != nil {
					return err
				}
			}
			if b.began, err = b.scrape(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// stood returns for how long the machine stalled between two moments, or let a traced bridge wait
// for a core; any bridge if its name is "".
func (w *world) stood(bridge string, from, to time.Time) time.Duration {
	sum := w.control.excess(from, to)
	for _, b := range w.bridges {
		if bridge == "" || b.name == bridge {
			sum += b.starvation.between(from, to)
		}
	}
	return sum
}

// probe polls a bridge's /readyz for the balancer.
func (w *world) probe(b *bridge) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for w.ctx.Err() == nil {
		w.ready.Store(b, b.ready(w.ctx) == nil)
		<-tick.C
	}
}

// meets waits for some time, and then until something has happened: a slow machine must see it,
// too.
func (w *world) meets(what string, d time.Duration) {
	w.passes(d)
	for i := 0; i < 200 && w.tally.of(what) == 0; i++ {
		rest(w.ctx, 100*time.Millisecond)
	}
}

// suppresses waits until a delivery that is sent again is a duplicate.
func (w *world) suppresses() {
	for range 200 {
		for _, b := range w.bridges {
			if m, err := b.scrape(w.ctx); err == nil && m.sum("webhook_bridge_publishes_total", `outcome="duplicate"`) > 0 {
				return
			}
		}
		rest(w.ctx, 100*time.Millisecond)
	}
}

// balance is a round-robin over the ready bridges, or over all if none is ready.
func (w *world) balance(n int) []*bridge {
	var up []*bridge
	for _, b := range w.bridges {
		if ready, _ := w.ready.Load(b); ready == true {
			up = append(up, b)
		}
	}
	if len(up) == 0 {
		up = w.bridges
	}
	n %= len(up)
	return append(slices.Clone(up[n:]), up[:n]...)
}

// passes waits for about that time.
func (w *world) passes(d time.Duration) {
	rest(w.ctx, d*3/4+time.Duration(w.rng.Int64N(int64(d)/2+1)))
}

func (w *world) anyBridge() *bridge   { return w.bridges[w.rng.IntN(len(w.bridges))] }
func (w *world) anyNATS() *natsServer { return w.nats[w.rng.IntN(len(w.nats))] }

// streamLeader is the server that leads the stream of events.
func (w *world) streamLeader() (leader *natsServer, err error) {
	err = poll.Try(w.ctx, patiently, "the stream has a leader", func(ctx context.Context) error {
		s, err := w.outside.js.Stream(ctx, eventsStream)
		if err != nil {
			return err
		}
		if cluster := s.CachedInfo().Cluster; cluster != nil {
			for _, n := range w.nats {
				if n.name == cluster.Leader {
					leader = n
					return nil
				}
			}
		}
		return errors.New("it has none")
	})
	return leader, err
}

// close ends every process and unmounts every file system.
func (w *world) close() {
	for _, b := range w.bridges {
		b.proc.Kill()
	}
	if w.outside != nil {
		w.outside.nc.Close()
	}
	for _, s := range w.nats {
		if s.proxy != nil {
			s.proxy.cut()
		}
		s.proc.Kill()
	}
	for _, lift := range slices.Backward(w.lift) {
		lift()
	}
}
