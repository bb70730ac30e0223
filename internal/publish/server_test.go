package publish

import (
	"crypto/x509"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

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

// An account that leaves the bridge no way to work is logged with what to change.
func TestUselessAccount(t *testing.T) {
	t.Parallel()
	operator := newOperator(t, t.TempDir())
	allows := func(change func(*jwt.UserClaims)) *fixture {
		s := natsdtest.Start(t, operator.conf)
		return open(t, s.URL(), func(c *Config) { c.Server.Creds = operator.user(t, change) })
	}
	for name, f := range map[string]*fixture{
		"subscriptions": allows(func(u *jwt.UserClaims) { u.Limits.Subs = 0 }),
		"connections":   open(t, natsdtest.Start(t, "max_connections: 0").URL()),
	} {
		poll.Until(t, "the remedy for "+name, func() bool {
			entries := f.logs.FilterField(zap.String("remedy", "raise that limit of our user, our account or the server")).All()
			return len(entries) > 0 && entries[0].Level == zap.ErrorLevel
		})
		expect.Equal(t, 0, f.logged(sayConnected), "connections")
	}
	f := allows(func(u *jwt.UserClaims) { u.Limits.Payload = 300 })
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
	address := hangsUp(t, 300*time.Millisecond)
	for _, isFirst := range []bool{false, true} {
		_, err := Server{URL: "nats://" + address.String(), TLSFirst: isFirst}.Connect()
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
