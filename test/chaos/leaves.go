//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/poll"
)

// The bridges publish to a leaf node, and the stream is on the hub.
var leafScenarios = []scenario{
	{
		name: "leaf", about: "a leaf node has a stream of the same name; its link to the hub is cut and slow, the hub and the leaf are killed",
		nats: 2, leaf: true, bridges: 2, env: []string{"NATS_JS_DOMAIN=hub"}, must: []string{natsKills, spooled},
		prepare: sameStreamOnLeaf,
		faults: func(w *world) error {
			hub, leaf := w.nats[0], w.nats[1]
			for range 2 {
				hub.proxy.cut()
				w.passes(2 * time.Second)
				if err := hub.proxy.heal(); err != nil {
					return err
				}
				w.passes(4 * time.Second)
			}
			if err := w.poison(hub, toxic{"timeout", fromNATS, `"timeout":0`}, 3*time.Second); err != nil {
				return err
			}
			w.passes(4 * time.Second)
			for _, i := range w.rng.Perm(2) {
				if err := w.killNATS([]*natsServer{hub, leaf}[i], 3*time.Second); err != nil {
					return err
				}
				w.passes(3 * time.Second)
			}
			return nil
		},
	},
}

// link makes the server the hub, or a leaf node of it. The hub listens for leaf nodes at listen, and
// they know only the proxy. It returns what the server's own proxy stands before: the hub's before the
// link.
func (s *natsServer) link(isHub bool, listen, proxy string) (upstream string) {
	if isHub {
		s.domain, s.leafnodes = ", domain: hub", fmt.Sprintf("leafnodes { listen: %q, no_advertise: true }\n", listen)
		return listen
	}
	s.domain, s.leafnodes = ", domain: leaf", fmt.Sprintf("leafnodes { reconnect: 1, remotes: [ { url: %q } ] }\n", "nats-leaf://bridge:bridge@"+proxy)
	return s.addr
}

// sameStreamOnLeaf makes a stream of events on the leaf node too. It stores and acknowledges every
// event, which must not count.
func sameStreamOnLeaf(w *world) error {
	leaf, err := connect([]string{"nats://" + w.nats[1].addr}, nats.UserInfo("admin", "admin"))
	if err != nil {
		return err
	}
	defer leaf.nc.Close()
	return poll.Try(w.ctx, patiently, "the leaf has a stream", func(ctx context.Context) error {
		_, err := leaf.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: eventsStream, Subjects: []string{"webhooks.>"}, Duplicates: time.Hour})
		return err
	})
}
