package publish

import (
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// payloadEvery is how often the server is asked for its max_payload, at the most.
const payloadEvery = 10 * time.Second

// wasRaised reports whether the server of that connection takes larger messages than it said when we connected.
// A reload of its configuration tells its clients nothing (nats-server, maxPayloadOption.Apply), and nats.go
// goes by what it was told; only who connects anew is told.
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

// askPayload connects anew if the server takes larger messages by now, where one was too large for what we
// know.
func (m *monitor) askPayload(c *conn, nc *nats.Conn) {
	if !m.refused.Load() || m.limit.Load() < nc.MaxPayload() || time.Since(m.asked) < payloadEvery {
		return
	}
	m.refused.Store(false)
	m.asked = time.Now()
	switch raised, err := c.link.server.wasRaised(nc); {
	case err != nil:
		m.log.Warn("server can't be asked whether it takes larger messages by now", zap.Error(err))
	case raised && c.alive.Err() == nil:
		m.log.Info("server takes larger messages by now, connecting anew")
		if err := nc.ForceReconnect(); err != nil {
			m.log.Warn("connecting to NATS anew", zap.Error(err))
		}
	}
}
