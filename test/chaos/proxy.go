//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// proxy stands between the bridges and one nats-server.
type proxy struct {
	*toxiproxy.Proxy
	up bool
}

func newProxy(addr, upstream string) (*proxy, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.New(io.Discard))
	p := &proxy{Proxy: toxiproxy.NewProxy(server, addr, addr, upstream)}
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("starting proxy: %w", err)
	}
	p.up = true
	return p, nil
}

// The directions of a toxic.
const (
	toNATS   = "upstream"
	fromNATS = "downstream"
)

// poison adds a toxic of a type in one direction, or with "" in both. Attributes are as in toxiproxy's API.
func (p *proxy) poison(toxic, direction, attributes string) error {
	for _, d := range []string{toNATS, fromNATS} {
		if direction != "" && d != direction {
			continue
		}
		text := fmt.Sprintf(`{"type":%q,"stream":%q,"attributes":{%s}}`, toxic, d, attributes)
		if _, err := p.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			return fmt.Errorf("adding toxic %s: %w", toxic, err)
		}
	}
	return nil
}

// cut closes every connection and refuses new ones.
func (p *proxy) cut() {
	if p.up {
		p.Stop()
	}
	p.up = false
}

// heal removes all toxics and closes the connections: the toxics have dropped bytes of them.
func (p *proxy) heal() error {
	p.cut()
	p.Proxy = toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.New(io.Discard)), p.Name, p.Listen, p.Upstream)
	if err := p.Start(); err != nil {
		return fmt.Errorf("healing proxy: %w", err)
	}
	p.up = true
	return nil
}
