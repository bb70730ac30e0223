package consumer

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/ade15e70/webhook-bridge/event/consumer"
)

// The log says so, too, when a server that is connected doesn't answer.
func TestNATSIsSilent(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	var line heldLine
	log := &words{}
	r := run(t, n.connect("", nats.SetCustomDialer(&line)), consumer.Options{Logger: log.logger()}, unused)
	eventually(t, "it consumes", func() bool { return strings.Contains(log.String(), "consuming") })
	line.held.Lock()
	eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), "pulling failed, trying again") })
	line.held.Unlock()
	eventually(t, "the log says that it answers", func() bool { return strings.Contains(log.String(), "pulling works again") })
	r.stopped()
}

// heldLine dials connections on which nothing arrives while held is locked.
type heldLine struct{ held sync.RWMutex }

func (l *heldLine) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	return &heldConn{c, l}, err
}

type heldConn struct {
	net.Conn
	line *heldLine
}

func (c *heldConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.line.held.RLock()
	defer c.line.held.RUnlock()
	return n, err
}
