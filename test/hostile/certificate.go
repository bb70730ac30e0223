//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ade15e70/webhook-bridge/test/tlstest"
)

// certificate makes a certificate for the public port, and returns its file and its key's.
func certificate(dir string) (cert, key string, err error) {
	public, private, err := tlstest.PEM("localhost")
	if err != nil {
		return "", "", fmt.Errorf("making certificate: %w", err)
	}
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	return cert, key, errors.Join(os.WriteFile(cert, public, 0o600), os.WriteFile(key, private, 0o600))
}
