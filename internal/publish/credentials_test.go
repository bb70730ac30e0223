package publish

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
)

// newKey makes a key pair.
func newKey(t *testing.T, create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	t.Helper()
	key, err := create()
	expect.NoError(t, err)
	return key
}

func public(t *testing.T, key nkeys.KeyPair) string {
	t.Helper()
	text, err := key.PublicKey()
	expect.NoError(t, err)
	return text
}

func seed(t *testing.T, key nkeys.KeyPair) []byte {
	t.Helper()
	text, err := key.Seed()
	expect.NoError(t, err)
	return text
}

func seedFile(t *testing.T, dir string, key nkeys.KeyPair) string {
	t.Helper()
	return write(t, filepath.Join(dir, public(t, key)+".nk"), seed(t, key))
}

func write(t *testing.T, file string, content []byte) string {
	t.Helper()
	expect.NoError(t, os.WriteFile(file, content, 0o600))
	return file
}

// trusted is an operator with one account.
type trusted struct {
	dir, conf string
	account   nkeys.KeyPair
}

func newOperator(t *testing.T, dir string) *trusted {
	t.Helper()
	operator, system, account := newKey(t, nkeys.CreateOperator), newKey(t, nkeys.CreateAccount), newKey(t, nkeys.CreateAccount)
	encode := func(claims jwt.Claims) string {
		text, err := claims.Encode(operator)
		expect.NoError(t, err)
		return text
	}
	limited := jwt.NewAccountClaims(public(t, account))
	limited.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	conf := fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {\n%s: %s\n%s: %s\n}\n",
		encode(jwt.NewOperatorClaims(public(t, operator))), public(t, system),
		public(t, system), encode(jwt.NewAccountClaims(public(t, system))), public(t, account), encode(limited))
	return &trusted{dir, conf, account}
}

// user returns the credentials file of a new user.
func (o *trusted) user(t *testing.T, change func(*jwt.UserClaims)) string {
	t.Helper()
	key := newKey(t, nkeys.CreateUser)
	claims := jwt.NewUserClaims(public(t, key))
	if change != nil {
		change(claims)
	}
	token, err := claims.Encode(o.account)
	expect.NoError(t, err)
	creds, err := jwt.FormatUserConfig(token, seed(t, key))
	expect.NoError(t, err)
	return write(t, filepath.Join(o.dir, public(t, key)+".creds"), creds)
}

// authority issues certificates.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{dir: dir}
	a.cert = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.key = a.write(t, name, a.cert)
	return a
}

func (a *authority) issue(t *testing.T, name string, usage x509.ExtKeyUsage) {
	t.Helper()
	host, _, err := net.SplitHostPort(natsdtest.FreeAddr(t)) // all servers of a test process have the same one
	expect.NoError(t, err)
	a.write(t, name, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.ParseIP(host)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	})
}

// write makes a key and has the certificate signed, by the authority or by itself.
func (a *authority) write(t *testing.T, name string, cert *x509.Certificate) *ecdsa.PrivateKey {
	t.Helper()
	cert.NotBefore, cert.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	expect.NoError(t, err)
	signer := a.key
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, signer)
	expect.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	expect.NoError(t, err)
	write(t, filepath.Join(a.dir, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, filepath.Join(a.dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	return key
}
