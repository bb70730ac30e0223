package publish

import (
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

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

// An account may allow less than the server.
func TestAccountLimitsPayload(t *testing.T) {
	t.Parallel()
	operator := newOperator(t, t.TempDir())
	s := natsdtest.Start(t, operator.conf)
	f := open(t, s.URL(), func(c *Config) {
		c.Server.Creds = operator.user(t, func(u *jwt.UserClaims) { u.Limits.Payload = 5000 })
	}).connected()
	f.takes(Stored, sized("fits", 5000))
	expect.ErrorIs(t, ErrTooLarge, expect.Err(f.Publish(t.Context(), sized("doesn't", 5001))), "5001 bytes")
	for range 10 {
		poll.Until(t, "asked anew", func() bool {
			raised, err := f.config.Server.isPayloadRaised(t.Context(), f.session.Load().nc)
			expect.Equal(t, false, raised, "the limit was raised")
			return err == nil
		})
	}
}

// With too few subscriptions no answer reaches the bridge. It says so, and goes on once it may have more.
func TestTooFewSubscriptions(t *testing.T) {
	t.Parallel()
	conf := func(most int) string {
		return fmt.Sprintf(`accounts { A { jetstream: enabled, limits { max_subs: %d }, users: [ { user: a, password: a } ] } }, no_auth_user: a`, most)
	}
	s := natsdtest.Start(t, conf(1))
	f := open(t, s.URL())
	poll.Until(t, "the reason", func() bool {
		err := f.Ready()
		return err != nil && strings.Contains(err.Error(), "maximum subscriptions exceeded")
	})
	s.Reload(conf(10))
	f.connected().stores("a")
}

// A leaf node passes messages on to JetStream in another domain.
func TestDomain(t *testing.T) {
	t.Parallel()
	leaves := natsdtest.FreeAddr(t)
	hub := natsdtest.Start(t, fmt.Sprintf("server_name: hub, jetstream { domain: hub }, leafnodes { listen: %q }", leaves))
	for name, conf := range map[string]string{
		"leaf without JetStream": "jetstream: disabled",
		"leaf with its own":      "jetstream { domain: leaf }",
	} {
		t.Run(name, func(t *testing.T) {
			leaf := natsdtest.Start(t, fmt.Sprintf("server_name: leaf, %s, leafnodes { remotes: [ { url: %q } ] }", conf, "nats://"+leaves))
			f := open(t, leaf.URL(), func(c *Config) { c.Server.Domain = "hub" }).connected()
			f.stores(name)
			ids := natsdtest.IDs(t, natsdtest.Connect(t, hub.URL()))
			if len(ids) == 0 || ids[len(ids)-1] != name {
				t.Errorf("the hub has %q", ids)
			}
		})
	}
	t.Run("no such domain", func(t *testing.T) {
		f := open(t, hub.URL(), func(c *Config) { c.Server.Domain = "nowhere" })
		poll.Until(t, "the error", func() bool {
			err := f.Ready()
			return err != nil && strings.Contains(err.Error(), "set NATS_JS_DOMAIN")
		})
	})
}

// A command must connect at once, or say why it can't.
func TestConnect(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, `authorization { token: right }`)
	nc, err := Server{URL: s.URL(), Token: secret.New("right"), Name: "me"}.Connect()
	expect.NoError(t, err)
	nc.Close()
	for _, server := range []Server{
		{URL: s.URL(), Token: secret.New("wrong")},
		{URL: "nats://" + natsdtest.FreeAddr(t)},
		{URL: s.URL(), Nkey: "/nowhere"},
	} {
		if nc, err := server.Connect(); err == nil {
			nc.Close()
			t.Errorf("%+v connects", server)
		}
	}
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

// An account that leaves the bridge no way to work is logged with what to change.
func TestUselessAccount(t *testing.T) {
	t.Parallel()
	operator := newOperator(t, t.TempDir())
	allows := func(change func(*jwt.UserClaims)) *fixture {
		s := natsdtest.Start(t, operator.conf)
		return open(t, s.URL(), func(c *Config) { c.Server.Creds = operator.user(t, change) })
	}
	f := allows(func(u *jwt.UserClaims) { u.Limits.Subs = 0 })
	poll.Until(t, "the remedy for subscriptions", func() bool {
		entries := f.logs.FilterField(zap.String("remedy", "raise the limit of subscriptions of our user, our account or the server")).All()
		return len(entries) > 0 && entries[0].Level == zap.ErrorLevel
	})
	expect.Equal(t, 0, f.logged(sayConnected), "connections")
	f = allows(func(u *jwt.UserClaims) { u.Limits.Payload = 300 })
	poll.Until(t, "the remedy for requests", func() bool {
		err := f.Ready()
		return err != nil && strings.Contains(err.Error(), "raise max_payload of the server or our account")
	})
	valid := Server{Creds: operator.user(t, nil)}
	expect.Equal(t, "the server refuses our credentials: check NATS_CREDS, and whether the JWT of our account has expired or was revoked",
		valid.remedy(nats.ErrAuthorization), "the remedy for credentials that look valid")
}

// What is missing for TLS is logged as a remedy. With handshake_first the server is silent until the
// client begins with TLS.
func TestTLSRemedies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority := newAuthority(t, dir, "ca")
	authority.issue(t, "server", x509.ExtKeyUsageServerAuth)
	authority.issue(t, "client", x509.ExtKeyUsageClientAuth)
	in := func(name string) string { return filepath.Join(dir, name) }
	ca, verify := in("ca.pem"), fmt.Sprintf("verify: true, ca_file: %q", in("ca.pem"))
	for _, test := range []struct {
		name, conf string
		server     Server
		remedy     string
	}{
		{"both first", "handshake_first: true", Server{CA: ca, TLSFirst: true}, ""},
		{"neither first", "handshake_first: false", Server{CA: ca}, ""},
		{"the server alone first", "handshake_first: true", Server{CA: ca}, "set NATS_TLS_FIRST=true"},
		{"the server alone first, and it gives up first", "handshake_first: true, timeout: 0.5", Server{CA: ca}, "set NATS_TLS_FIRST=true"},
		{"the bridge alone first", "handshake_first: false", Server{CA: ca, TLSFirst: true}, "NATS_TLS_FIRST=true needs a server"},
		{"no client certificate", verify, Server{CA: ca}, "set NATS_CERT and NATS_KEY"},
		{"invalid client certificate", verify, Server{CA: ca, Cert: in("server.pem"), Key: in("server.key")}, "one that is valid now"},
		{"no authority", "handshake_first: false", Server{}, "set NATS_CA"},
		{"invalid certificate", fmt.Sprintf("cert_file: %q, key_file: %q", in("client.pem"), in("client.key")), Server{CA: ca}, "give the server a certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := natsdtest.Start(t, fmt.Sprintf("tls { cert_file: %q, key_file: %q, %s }", in("server.pem"), in("server.key"), test.conf))
			test.server.URL = s.URL()
			f := open(t, "", func(c *Config) { c.Server = test.server })
			if test.remedy == "" {
				f.connected().stores("1")
				return
			}
			_, err := f.config.Server.Connect() // a command waits longer
			if err == nil || !strings.Contains(err.Error(), test.remedy) {
				t.Errorf("a command's error: %v, want %q in it", err, test.remedy)
			}
			poll.Until(t, "what to do", func() bool {
				for _, entry := range f.logs.FilterMessage(sayUnreachable).All() {
					if strings.Contains(fmt.Sprint(entry.ContextMap()["remedy"]), test.remedy) {
						return true
					}
				}
				return false
			})
		})
	}
	plain := natsdtest.Start(t, "")
	for _, server := range []Server{{CA: in("missing")}, {CA: in("server.key")}, {Cert: in("server.pem"), Key: in("client.key")}} {
		server.URL = plain.URL()
		if _, err := server.Connect(); err == nil || !strings.Contains(err.Error(), "mend the file") {
			t.Errorf("%+v: %v, want the file's remedy", server, err)
		}
	}
	for _, scheme := range []string{"tls:", "ws:", "wss:"} {
		_, err := Server{URL: strings.Replace(plain.URL(), "nats:", scheme, 1)}.Connect()
		if err == nil || !strings.Contains(err.Error(), "begin NATS_URL with nats://") || strings.Contains(err.Error(), "server_id") {
			t.Errorf("%s to a server without TLS and WebSocket: %v", scheme, err)
		}
	}
}

// A command says what to do if the server waits, and then hangs up, also with NATS_TLS_FIRST.
func TestHangsUpLate(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	defer func() { _ = listener.Close() }()
	go func() {
		for wire, err := listener.Accept(); err == nil; wire, err = listener.Accept() {
			_ = wire.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			_, _ = io.Copy(io.Discard, wire)
			_ = wire.Close()
		}
	}()
	for _, isFirst := range []bool{false, true} {
		_, err := Server{URL: "nats://" + listener.Addr().String(), TLSFirst: isFirst}.Connect()
		const want = "set NATS_TLS_FIRST=true if, and only if, its tls block has handshake_first"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with NATS_TLS_FIRST=%t: %v", isFirst, err)
		}
	}
}

// NATS_URL leads to another port than that of clients: the log and a command's error say so, and the log
// has the address, because NATS_URL may have several.
func TestWrongPort(t *testing.T) {
	t.Parallel()
	leaves := natsdtest.FreeAddr(t)
	natsdtest.Start(t, fmt.Sprintf("leafnodes { listen: %q }", leaves))
	listen := func(banner string) string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		expect.NoError(t, err)
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for wire, err := listener.Accept(); err == nil; wire, err = listener.Accept() {
				_, _ = wire.Write([]byte(banner))
				t.Cleanup(func() { _ = wire.Close() })
			}
		}()
		return listener.Addr().String()
	}
	for name, address := range map[string]string{
		"leaf nodes": leaves, "SSH": listen("SSH-2.0-OpenSSH_9.6\r\n"), "HTTP": listen(""), // which waits for the client to begin
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const want = "NATS_URL must lead to the server's port for clients, usually 4222"
			f := open(t, "nats://"+address)
			poll.Until(t, "refused", func() bool { return f.logged(sayUnreachable) > 0 })
			fields := f.first(sayUnreachable)
			if remedy := fmt.Sprint(fields["remedy"]); !strings.Contains(remedy, want) {
				t.Errorf("the remedy is %s", remedy)
			}
			if text := fmt.Sprint(fields["error"]); strings.Count(text, address) != 1 {
				t.Errorf("the error is %s, want the address in it once", text)
			}
			if _, err := f.config.Server.Connect(nats.Timeout(time.Second)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("a command's error: %v", err)
			}
		})
	}
}

func TestTooOld(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"2.9.25": true, "v2.9.0": true, "1.4.1": true, "2.10.0": false, "2.10.0-beta.1": false, "2.15.2": false, "3.0.0": false, "": false, "latest": false,
	} {
		expect.Equal(t, want, tooOld(version), "tooOld(%q)", version)
	}
}
