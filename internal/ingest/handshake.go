package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
)

// maxHandshake bounds the bytes that a client sends in a TLS handshake. It sends no certificate.
const maxHandshake = 16 << 10

// handshake is the connection below TLS. It bounds what the client sends until the handshake is done.
type handshake struct {
	net.Conn
	left int64 // how many bytes the client may still send
}

func (h *handshake) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if h.left -= int64(n); h.left < 0 {
		return 0, errors.New("TLS handshake is too large")
	}
	return n, err
}

// establish does the TLS handshake, unless it is done or there is none. If it fails, establish refuses
// the connection, unless the client has only hung up. p is a buffer for refuse.
func (c *conn) establish(p []byte) error {
	if c.handshake == nil {
		return nil
	}
	err := c.Conn.(*tls.Conn).HandshakeContext(context.Background())
	record, _ := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case err == nil:
		c.handshake.left = math.MaxInt64
		c.handshake = nil
		return nil
	case record.Conn != nil && plainOnTLS(record.RecordHeader[:]) != "": // we have sent nothing yet
		return c.refuse(c.raw, plainOnTLS(record.RecordHeader[:]), p)
	case errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed):
		return err
	}
	return c.refuse(c.Conn, TLSHandshake, p)
}
