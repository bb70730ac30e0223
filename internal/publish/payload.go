package publish

import (
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// payloadEvery is how often the server is asked for its max_payload, at the most.
const payloadEvery = 10 * time.Second

// wasRaised reports whether the connection's server takes larger messages than when we connected.
// After a reload of its configuration it doesn't inform its clients (nats-server,
// maxPayloadOption.Apply): only a new connection learns the new limit.
func (s Server) wasRaised(nc *nats.Conn) (bool, error) {
	s.URL = nc.ConnectedUrl()
	fresh, err := s.Connect(nats.Timeout(dialTimeout))
	if err != nil {
		return false, err
	}
	defer fresh.Close()
	if err := fresh.FlushTimeout(dialTimeout); err != nil { // an account's limit comes after the first PONG
		return false, err
	}
	return fresh.MaxPayload() > nc.MaxPayload(), nil
}

// askPayload reconnects if a message was too large and the server takes larger ones by now.
func (m *monitor) askPayload(c *conn, nc *nats.Conn) {
	if !m.refused.Load() || m.limit.Load() < nc.MaxPayload() || time.Since(m.asked) < payloadEvery {
		return
	}
	m.refused.Store(false)
	m.asked = time.Now()
	switch raised, err := c.link.server.wasRaised(nc); {
	case err != nil:
		m.log.Warn("finding out whether the server takes larger messages by now has failed", zap.Error(err))
	case raised && c.alive.Err() == nil:
		m.log.Info("server takes larger messages by now, reconnecting")
		if err := nc.ForceReconnect(); err != nil {
			m.log.Warn("reconnecting to NATS", zap.Error(err))
		}
	}
}
