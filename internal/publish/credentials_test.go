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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
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

// Each kind of credentials works, and wrong ones of that kind don't.
func TestCredentials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, wrongKey := newKey(t, nkeys.CreateUser), newKey(t, nkeys.CreateUser)
	operator := newOperator(t, dir)
	ca := newAuthority(t, dir, "ca")
	ca.issue(t, "server", x509.ExtKeyUsageServerAuth)
	ca.issue(t, "client", x509.ExtKeyUsageClientAuth)
	wrongCA := newAuthority(t, dir, "wrong-ca")
	wrongCA.issue(t, "wrong-client", x509.ExtKeyUsageClientAuth)
	in := func(name string) string { return filepath.Join(dir, name) }
	serverTLS := fmt.Sprintf("cert_file: %q, key_file: %q, ca_file: %q", in("server.pem"), in("server.key"), in("ca.pem"))

	for _, test := range []struct {
		name, conf   string
		right, wrong Server
		at           string // what the URL has before the host
		wrongAt      string
		why          string // the wrong one is refused
	}{
		{
			name: "token", conf: `authorization { token: right-word }`,
			right: Server{Token: secret.New("right-word")}, wrong: Server{Token: secret.New("wrong-word")}, why: "Authorization Violation",
		},
		{
			name: "token in the URL", conf: `authorization { token: right-word }`,
			at: "right-word@", wrongAt: "wrong-word@", why: "Authorization Violation",
		},
		{
			name: "user", conf: `authorization { user: bridge, password: right-word }`,
			right: Server{User: "bridge", Password: secret.New("right-word")}, wrong: Server{User: "bridge", Password: secret.New("wrong-word")}, why: "Authorization Violation",
		},
		{
			name: "user in the URL", conf: `authorization { user: bridge, password: right-word }`,
			at: "bridge:right-word@", wrongAt: "bridge:wrong-word@", why: "Authorization Violation",
		},
		{
			name: "nkey", conf: fmt.Sprintf(`authorization { users: [ { nkey: %s } ] }`, public(t, key)),
			right: Server{Nkey: seedFile(t, dir, key)}, wrong: Server{Nkey: seedFile(t, dir, wrongKey)}, why: "Authorization Violation",
		},
		{
			name: "creds", conf: operator.conf,
			right: Server{Creds: operator.user(t, nil)}, wrong: Server{Creds: newOperator(t, dir).user(t, nil)}, why: "Authorization Violation",
		},
		{
			name: "server certificate", conf: "tls { " + serverTLS + " }",
			right: Server{CA: in("ca.pem")}, wrong: Server{CA: in("wrong-ca.pem")}, why: "x509: certificate signed by unknown authority",
		},
		{
			name: "client certificate", conf: "tls { " + serverTLS + ", verify: true }",
			right: Server{CA: in("ca.pem"), Cert: in("client.pem"), Key: in("client.key")}, wrong: Server{CA: in("ca.pem"), Cert: in("wrong-client.pem"), Key: in("wrong-client.key")},
			why: "tls",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := natsdtest.Start(t, test.conf)
			as := func(c Server, at string) func(*Config) {
				c.URL = "nats://" + at + s.Addr()
				return func(config *Config) { config.Server = c }
			}
			wrong := open(t, "", as(test.wrong, test.wrongAt))
			right := open(t, "", as(test.right, test.at)).connected()
			right.stores("1")
			poll.Until(t, "refused", func() bool { return wrong.logged(sayUnreachable) > 0 })
			wrong.refuses("2")
			wrong.notReady(test.why)
			for _, f := range []*fixture{right, wrong} {
				text := fmt.Sprint(f.messages(), f.Ready())
				for _, entry := range f.logs.All() {
					text += fmt.Sprint(entry.ContextMap())
				}
				for _, word := range []string{"right-word", "wrong-word", string(seed(t, key)), "eyJ0eXAi"} {
					if strings.Contains(text, word) {
						t.Errorf("the log holds %q: %s", word, text)
					}
				}
			}
		})
	}
}

// Unusable settings are an error of Open.
func TestUnusableCredentials(t *testing.T) {
	t.Parallel()
	missing, empty := filepath.Join(t.TempDir(), "missing"), filepath.Join(t.TempDir(), "empty")
	expect.NoError(t, os.WriteFile(empty, nil, 0o600))
	for _, server := range []Server{
		{Nkey: missing},
		{Nkey: empty},
		{CA: missing},
		{CA: empty},
		{Cert: missing, Key: missing},
		{Cert: empty, Key: empty},
		{Creds: missing},
		{Nkey: seedFile(t, t.TempDir(), newKey(t, nkeys.CreateUser)), Creds: empty},
	} {
		server.URL = "nats://127.0.0.1:1"
		p, err := Open(Config{Server: server, Log: open(t, server.URL).config.Log})
		if err == nil {
			_ = p.Close(t.Context())
			t.Errorf("%+v is let pass", server)
		}
	}
}

// A credentials file is read for each connection: it may be replaced while the bridge runs.
func TestCredentialsAreReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	operator := newOperator(t, dir)
	s := natsdtest.Start(t, operator.conf)
	old := newOperator(t, dir).user(t, nil)
	f := open(t, s.URL(), func(c *Config) { c.Server.Creds = old })
	poll.Until(t, "refused", func() bool { return f.logged(sayUnreachable) > 0 })
	expect.NoError(t, os.Rename(operator.user(t, nil), old))
	f.connected().stores("1")
}

// So is a seed.
func TestSeedIsReplaced(t *testing.T) {
	t.Parallel()
	right := newKey(t, nkeys.CreateUser)
	s := natsdtest.Start(t, fmt.Sprintf("authorization { users: [{ nkey: %s }] }", public(t, right)))
	file := seedFile(t, t.TempDir(), newKey(t, nkeys.CreateUser))
	f := open(t, s.URL(), func(c *Config) { c.Server.Nkey = file })
	poll.Until(t, "refused", func() bool { return f.logged(sayUnreachable) > 0 })
	expect.NoError(t, os.WriteFile(file, seed(t, right), 0o600))
	f.connected().stores("1")
}

// If the password is changed while we are connected, the first line says so, with the remedy.
func TestPasswordIsChanged(t *testing.T) {
	t.Parallel()
	conf := func(password string) string {
		return fmt.Sprintf("authorization { users: [{ user: bridge, password: %s }] }", password)
	}
	s := natsdtest.Start(t, conf("old"))
	f := open(t, s.URL(), func(c *Config) { c.Server.User, c.Server.Password = "bridge", secret.New("old") }).connected()
	s.Reload(conf("new"))
	poll.Until(t, "disconnected", func() bool { return f.logged(sayDisconnected) > 0 })
	fields := f.first(sayDisconnected)
	if fields["error"] != "nats: authorization violation" || !strings.Contains(fmt.Sprint(fields["remedy"]), "NATS_PASSWORD") {
		t.Errorf("logged %v", fields)
	}
	s.Reload(conf("old"))
	f.connected().stores("1")
}

// The bridge goes on trying while the server's certificate is invalid.
func TestCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, other := newAuthority(t, dir, "ca"), newAuthority(t, dir, "other")
	ca.issue(t, "right", x509.ExtKeyUsageServerAuth)
	other.issue(t, "wrong", x509.ExtKeyUsageServerAuth)
	conf := func(name string) string {
		return fmt.Sprintf("tls { cert_file: %q, key_file: %q }", filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
	}
	s := natsdtest.Start(t, conf("right"))
	f := open(t, s.URL(), func(c *Config) { c.Server.CA = filepath.Join(dir, "ca.pem") }).connected()
	s.Stop()
	s.Configure(conf("wrong"))
	s.Start()
	f.tries(4)
	f.notReady("unknown authority")
	s.Stop()
	s.Configure(conf("right"))
	s.Start()
	f.connected().stores("1")
}

// Expired credentials are named as the cause, when they expire and at each later attempt, with the
// remedy.
func TestCredentialsExpire(t *testing.T) {
	t.Parallel()
	operator := newOperator(t, t.TempDir())
	s := natsdtest.Start(t, operator.conf)
	var f *fixture
	var creds string
	var expires time.Time
	for life := 5 * time.Second; ; life *= 2 { // a busy machine may take longer to connect
		expires = time.Now().Add(life)
		creds = operator.user(t, func(u *jwt.UserClaims) { u.Expires = expires.Unix() })
		f = open(t, s.URL(), func(c *Config) { c.Server.Creds = creds })
		poll.Until(t, "connected, or expired", func() bool { return f.Ready() == nil || time.Now().After(expires) })
		if f.logged(sayConnected) > 0 {
			break
		}
	}
	poll.Until(t, "disconnected, and refused", func() bool {
		return f.logged(sayDisconnected) > 0 && strings.Contains(strings.ToLower(fmt.Sprint(f.Ready())), "authorization violation")
	})
	expect.Equal(t, "nats: authentication expired", fmt.Sprint(f.first(sayDisconnected)["error"]), "the reason of the disconnection")
	remedy := fmt.Sprintf("the user JWT in NATS_CREDS expired at %s: put new credentials into %s", expires.UTC().Format(time.RFC3339), creds)
	for _, entry := range slices.Concat(f.logs.FilterMessage(sayDisconnected).All(), f.logs.FilterMessage(sayUnreachable).Filter(inTime).All()) {
		if fields := entry.ContextMap(); entry.Level != zap.ErrorLevel || !strings.HasPrefix(fmt.Sprint(fields["remedy"]), remedy) {
			t.Errorf("%s: logged at %s with %v, want an error with the remedy", entry.Message, entry.Level, fields)
		}
	}
	expect.NoError(t, os.Rename(operator.user(t, nil), creds))
	f.connected().stores("1")
}
