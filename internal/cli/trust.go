package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/filewatch"
)

// trust holds which certificates a client accepts: those of the system's authorities by default.
type trust struct {
	authorities string // file of authorities to accept instead, PEM
	// exactly is the file of this machine's bridge's certificate, which seldom names 127.0.0.1.
	exactly string
}

// config returns the client's TLS configuration.
func (t trust) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.authorities != "" {
		pool, _, err := certificates(t.authorities)
		if err != nil {
			return nil, usagef("--ca: %w", err)
		}
		c.RootCAs = pool
		return c, nil
	}
	if t.exactly != "" {
		pool, leaf, err := certificates(t.exactly)
		if err != nil {
			return nil, usagef("TLS_CERT_FILE: %w", err)
		}
		c.RootCAs = pool
		switch {
		case len(leaf.DNSNames) > 0:
			c.ServerName = strings.Replace(leaf.DNSNames[0], "*", "any", 1)
		case len(leaf.IPAddresses) > 0:
			c.ServerName = leaf.IPAddresses[0].String()
		}
	}
	return c, nil
}

// certificates reads a file of certificates; leaf is the first.
func certificates(file string) (pool *x509.CertPool, leaf *x509.Certificate, err error) {
	content, err := filewatch.ReadFile(file, config.MaxTLSFile)
	if err != nil {
		return nil, nil, err
	}
	pool = x509.NewCertPool()
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
		pool.AddCert(certificate)
		if leaf == nil {
			leaf = certificate
		}
	}
	if leaf == nil {
		return nil, nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, leaf, nil
}

// helpful adds to an error of sending what to do.
func helpful(err error) error {
	var unknown x509.UnknownAuthorityError
	var plain tls.RecordHeaderError
	var name *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens there: %w; start it with `bridge serve`, or give its address with --url", err)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; if the certificate is your own, name its authority with --ca", err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer came in time: %w; does --url name the bridge, and does a firewall let it through?", err)
	case errors.As(err, &name):
		return fmt.Errorf("%w; the name in --url can't be resolved", err)
	case errors.As(err, &plain), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return fmt.Errorf("%w; there is no TLS: give --url http://…", err)
	}
	return err
}
