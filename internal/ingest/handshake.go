package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"net"
)

// maxHandshake bounds the bytes of a client's TLS handshake, in which it sends no certificate.
const maxHandshake = 16 << 10

// handshake is the connection below TLS.
type handshake struct {
	net.Conn
	tls         *tls.Conn
	established bool
	left        int64
}

// underTLS returns the decrypted side of a connection, and the side below TLS.
func underTLS(raw net.Conn, config *tls.Config) (net.Conn, *handshake) {
	h := &handshake{Conn: raw, left: maxHandshake}
	h.tls = tls.Server(h, config)
	return h.tls, h
}

// establish does the handshake, unless it is done.
func (h *handshake) establish() error {
	if h.established {
		return nil
	}
	if err := h.tls.HandshakeContext(context.Background()); err != nil {
		return err
	}
	h.established, h.left = true, math.MaxInt64
	return nil
}

// Read implements net.Conn.
func (h *handshake) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if h.left -= int64(n); h.left < 0 {
		return 0, errors.New("TLS handshake is too large")
	}
	return n, err
}
