package app

import (
	"bytes"
	"crypto/tls"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

// certificate is the public listener's certificate with its key. Open connections keep the one that they
// began with.
type certificate struct {
	certFile, keyFile string
	inUse             atomic.Pointer[tls.Certificate]
	reloads           *reloads
	expiry            prometheus.Gauge
}

func newCertificate(c *config.Config, metrics *telemetry.Metrics, log *zap.Logger) *certificate {
	log = log.With(zap.String("file", c.TLSCertFile), zap.String("key_file", c.TLSKeyFile))
	cert := &certificate{
		certFile: c.TLSCertFile, keyFile: c.TLSKeyFile,
		reloads: newReloads(log, "certificate and key", metrics.TLSReloaded.WithLabelValues(), metrics.TLSReloadTime.WithLabelValues()),
		expiry:  metrics.CertificateExpiry.WithLabelValues(),
	}
	cert.use(c.Certificate)
	return cert
}

func (c *certificate) use(pair *tls.Certificate) {
	c.inUse.Store(pair)
	c.expiry.Set(float64(pair.Leaf.NotAfter.Unix()))
	if now := time.Now(); now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore) {
		c.reloads.log.Error("certificate is not valid now and senders will refuse it: renew it",
			zap.Time("not_before", pair.Leaf.NotBefore), zap.Time("not_after", pair.Leaf.NotAfter))
	}
}

// load puts the files' certificate and key into use, both or neither.
func (c *certificate) load(contents [][]byte, err error) {
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.X509KeyPair(contents[0], contents[1])
	}
	if err != nil {
		c.reloads.failed(err)
		return
	}
	changed := !slices.EqualFunc(pair.Certificate, c.inUse.Load().Certificate, bytes.Equal) // another key has another certificate
	if changed {
		c.use(&pair)
	}
	c.reloads.succeeded(changed, zap.Strings("names", pair.Leaf.DNSNames), zap.Time("not_after", pair.Leaf.NotAfter))
}

// config returns the TLS configuration of a listener with this certificate, or nil if c is nil.
func (c *certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"}, // not HTTP/2 (ADR 12)
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.inUse.Load(), nil },
	}
}
