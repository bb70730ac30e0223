package publish

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"go.uber.org/zap"
)

const (
	dialTimeout = 2 * time.Second
	// lookUpTimeout leaves time for a second name server after the first one's 5 s
	// (resolv.conf(5)).
	lookUpTimeout = 7 * time.Second
)

// lookUp returns the addresses of a host.
type lookUp func(ctx context.Context, host string) ([]string, error)

// dial connects to one of a name's addresses. It tries them in random order and gives each an equal
// share of the time, because a headless service also lists nodes that are gone. (net.Dialer gives
// the first address at least 2 s, which is all there is.)
func (l *link) dial(network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	looking, cancel := context.WithTimeout(l.ctx, lookUpTimeout)
	defer cancel()
	hosts, err := l.lookUp(looking, host)
	if err != nil {
		return nil, err
	}
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] }) //nolint:gosec // nobody gains by guessing it
	// An address that accepted the last connection and stayed silent is tried last.
	if i := slices.IndexFunc(hosts, func(host string) bool { return net.JoinHostPort(host, port) == l.silent }); i >= 0 {
		last := len(hosts) - 1
		hosts[i], hosts[last] = hosts[last], hosts[i]
	}
	failed := make(map[string]error)
	deadline := time.Now().Add(dialTimeout)
	for i, host := range hosts {
		share := time.Until(deadline) / time.Duration(len(hosts)-i)
		wire, err := (&net.Dialer{Timeout: share}).DialContext(l.ctx, network, net.JoinHostPort(host, port))
		if err == nil {
			for _, err := range failed {
				l.log.Info("address of a NATS server can't be reached, another one of the same name is used", zap.Error(err))
			}
			return wire, nil
		}
		failed[host] = err
	}
	for _, host := range slices.Sorted(maps.Keys(failed)) { // the same text for the same failures
		if err == nil {
			err = failed[host]
		} else {
			err = fmt.Errorf("%w; %w", err, failed[host])
		}
	}
	return nil, err
}
