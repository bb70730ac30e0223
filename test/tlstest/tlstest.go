// Package tlstest makes certificates for tests.
package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// Pair is the files of a certificate, which is its own authority, and of its key.
type Pair struct {
	Cert, Key string
	Leaf      *x509.Certificate
}

// New makes a certificate for those names, valid for a day, in a directory of its own.
func New(t testing.TB, names ...string) Pair {
	t.Helper()
	return Until(t, time.Now().Add(day), names...)
}

// Until makes a certificate that is valid until then.
func Until(t testing.TB, notAfter time.Time, names ...string) Pair {
	t.Helper()
	der, cert, key, err := generate(notAfter, names)
	expect.NoError(t, err)
	dir := t.TempDir()
	p := Pair{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	p.Leaf, err = x509.ParseCertificate(der)
	expect.NoError(t, errors.Join(err, os.WriteFile(p.Cert, cert, 0o600), os.WriteFile(p.Key, key, 0o600)))
	return p
}

// PEM returns a certificate for those names, valid for a day, and its key.
func PEM(names ...string) (cert, key []byte, err error) {
	_, cert, key, err = generate(time.Now().Add(day), names)
	return cert, key, err
}

const day = 24 * time.Hour

func generate(notAfter time.Time, names []string) (der, cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "test"}, DNSNames: names,
		NotBefore: notAfter.Add(-day - time.Hour), NotAfter: notAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, template, private.Public(), private); err != nil {
		return nil, nil, nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, nil, err
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
	return der, cert, key, nil
}
