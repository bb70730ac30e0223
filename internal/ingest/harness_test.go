package ingest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// public is a handler with its server. Accepted events go nowhere; the tests of package app are those of
// the whole bridge.
type public struct {
	*Handler
	t      testing.TB
	addr   string
	server *http.Server
	clock  *clock
	sink   *sink
}

// clock is the handler's clock. It stands still until it is advanced.
type clock struct{ ahead atomic.Int64 }

var began = time.Now()

func (c *clock) now() time.Time          { return began.Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// sink is a publisher that counts the published messages. If block is set, publishing waits for it.
type sink struct {
	n     atomic.Int64
	block atomic.Pointer[chan struct{}]
}

func (k *sink) Publish(context.Context, time.Time, publish.Message) (publish.Status, error) {
	if b := k.block.Load(); b != nil {
		<-*b
	}
	k.n.Add(1)
	return publish.Stored, nil
}

const testKey = "key"

// newPublic returns a public that doesn't listen yet.
func newPublic(t testing.TB, change func(*Config)) *public {
	p := &public{t: t, clock: &clock{}, sink: &sink{}}
	c := Config{
		Endpoints: []verify.Endpoint{{
			Name: "flock", Provider: &flock.Provider, Scheme: verify.Auto, Tolerance: time.Hour,
			Secrets: func() []secret.Secret { return []secret.Secret{secret.New(testKey)} },
		}},
		SubjectPrefix: "webhooks", MaxBodyBytes: 512 << 10, MaxInFlightBytes: 64 << 20, Publisher: p.sink, Observe: func(*Record) {}, Now: p.clock.now,
	}
	if change != nil {
		change(&c)
	}
	p.Handler = New(c)
	p.server = p.Server(log.New(io.Discard, "", 0))
	return p
}

// listen serves on loopback until the test ends.
func (p *public) listen() *public { return p.listenWith(nil) }

// listenWith is like listen, with TLS if config isn't nil.
func (p *public) listenWith(config *tls.Config) *public {
	p.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(p.t, err)
	p.addr = l.Addr().String()
	limited := p.Conns.Listen(p.server, l, config)
	served := make(chan struct{})
	go func() {
		_ = p.server.Serve(limited)
		close(served)
	}()
	p.t.Cleanup(func() {
		_ = p.server.Close()
		<-served
	})
	return p
}

// handle gives the handler a request with a connection of its own.
func (p *public) handle(r *http.Request) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	p.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(r.Context(), connKey{}, newConn(theirs, p.Conns))))
}

// client is a sender's side of a connection.
type client struct {
	net.Conn
	t      testing.TB
	reader *bufio.Reader
}

func (p *public) dial() *client {
	p.t.Helper()
	c, err := net.Dial("tcp", p.addr)
	expect.NoError(p.t, err)
	p.t.Cleanup(func() { _ = c.Close() })
	return &client{c, p.t, bufio.NewReader(c)}
}

func (c *client) write(text string) *client {
	c.t.Helper()
	expect.NoError(c.t, expect.Err(io.WriteString(c, text)))
	return c
}

// reply is what a client reads.
type reply struct {
	status int
	code   string // of a problem; "plain" if the body is net/http's own text
	closes bool
	header http.Header
}

func (r reply) String() string { return strings.TrimSpace(fmt.Sprint(r.status, " ", r.code)) }

func (c *client) read() reply {
	c.t.Helper()
	r, err := c.tryRead()
	expect.NoErrorf(c.t, err, "reading answer")
	return r
}

func (c *client) tryRead() (r reply, err error) {
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return r, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	r = reply{status: response.StatusCode, closes: response.Close, header: response.Header}
	var problem struct{ Code string }
	if json.Unmarshal(text, &problem) == nil {
		r.code = problem.Code
	} else {
		r.code = "plain"
	}
	return r, err
}

// isClosed waits until the other side has closed the connection.
func (c *client) isClosed() bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	_, err := c.reader.ReadByte()
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// signedBody returns a body of Flock's and its signature's header. A note makes the body longer.
func signedBody(id, note string) (body, header string) { return signedBodyAt(began, id, note) }

func signedBodyAt(at time.Time, id, note string) (body, header string) {
	body = fmt.Sprintf(`{"name":"invitee.accepted","entity":"invitee","entityId":%q,"note":%q,"timestamp":%d}`, id, note, at.Unix())
	return body, "X-Flock-Signature: " + verify.Hex.Encode(secret.New(testKey).MAC([]byte(body)))
}

// deliveryOf returns a whole request.
func deliveryOf(id, note string) string {
	body, header := signedBody(id, note)
	return fmt.Sprintf("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\n%s\r\nContent-Length: %d\r\n\r\n%s", header, len(body), body)
}

// half sends the head of a request with n bytes, and some of them.
func (p *public) half(n, some int) *client {
	return p.dial().write(halfHead(n) + strings.Repeat(" ", some))
}

// halfHead returns the head that half sends.
func halfHead(n int) string {
	return fmt.Sprintf("POST /webhooks/flock HTTP/1.1\r\nHost: bridge\r\nContent-Length: %d\r\n\r\n", n)
}
