package publish

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"
)

const dialTimeout = 2 * time.Second // for each address, and for each handshake

// dialer dials for nats.go, which asks for each address of a server's name in random order until
// one accepts the connection.
type dialer struct {
	ctx    context.Context // ends dialling and handshakes
	others []string        // addresses of other servers of the cluster; they replace one that is down
	last   *conn           // the last connection; its handshake may still go on
	silent string          // the address of the last failed handshake
	failed error           // the last failure to dial in this attempt to connect
}

// errSilent lets nats.go try a name's next address.
var errSilent = errors.New("the last handshake with this address failed")

// Dial makes dialer a nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	if d.last != nil {
		_ = d.last.Close() // nats.go leaves it open after a failed handshake
		d.silent = d.last.RemoteAddr().String()
		d.last = nil
	}
	err := errSilent
	for _, to := range slices.Concat([]string{address}, d.others) {
		if to == d.silent { // it is passed over once, because nats.go would try no other after it
			d.silent = ""
			continue
		}
		var wire net.Conn
		if wire, err = (&net.Dialer{Timeout: dialTimeout}).DialContext(d.ctx, network, to); err == nil {
			d.last = newConn(wire)
			d.last.established = context.AfterFunc(d.ctx, func() { _ = wire.Close() })
			return d.last, nil
		}
		d.failed = err
	}
	return nil, err
}
