package publish

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"time"
)

const dialTimeout = 2 * time.Second // for each address, and for each handshake

// dialer dials for nats.go, which passes it the names of servers: it would look them up itself, but
// without a context.
type dialer struct {
	ctx    context.Context // ends look-ups and dialling
	others []string        // addresses of other servers of the cluster; they replace one that is down
	last   *conn           // the last connection; its handshake may still go on
	failed error           // the last failure to dial in this attempt to connect
}

// Dial makes dialer a nats.CustomDialer. It tries all addresses of the server in random order, but
// last the one whose handshake has just failed.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	if err := d.ctx.Err(); err != nil { // not every look-up asks
		return nil, err
	}
	addresses, err := d.lookUp(address)
	if err != nil {
		d.failed = err
	}
	addresses = append(addresses, d.others...)
	if d.last != nil {
		_ = d.last.Close() // nats.go leaves it open after a failed handshake
		silent := d.last.RemoteAddr().String()
		if i := slices.Index(addresses, silent); i >= 0 {
			addresses = append(slices.Delete(addresses, i, i+1), silent)
		}
		d.last = nil
	}
	for _, to := range addresses {
		var wire net.Conn
		if wire, err = (&net.Dialer{Timeout: dialTimeout}).DialContext(d.ctx, network, to); err == nil {
			d.last = newConn(wire)
			return d.last, nil
		}
		d.failed = err
	}
	return nil, err
}

// lookUp returns the addresses of a server in random order.
func (d *dialer) lookUp(server string) ([]string, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(d.ctx, dialTimeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	for i := range addresses {
		addresses[i] = net.JoinHostPort(addresses[i], port)
	}
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] }) //nolint:gosec // nobody gains by guessing it
	return addresses, err
}
