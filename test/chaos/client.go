//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
	"time"
)

// client sends deliveries and measures the times.
type client struct{ *http.Client }

func newClient() *client {
	return &client{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true, DialContext: dialCounted}}}
}

// counted is a connection that counts the bytes written to it. The transport reports a request as
// written while it is still in a buffer: a sender that hangs up then has sent nothing.
type counted struct {
	net.Conn
	written atomic.Int64
}

func dialCounted(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &counted{Conn: conn}, nil
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

// The reasons why a sender leaves before its answer.
var (
	errHungUp = errors.New("the sender hung up")
	errGaveUp = errors.New("the sender has waited long enough")
)

// toConnect is the time for connecting and sending on loopback, on any machine.
const toConnect = 10 * time.Second

// deliver sends a delivery once; if a connection is refused, to the next bridge, as a proxy does.
// The sender leaves after patience or hangUp, counted from the last byte sent; 0 means never.
func (c *client) deliver(to []*bridge, p post, patience, hangUp time.Duration) (a answer) {
	for i, b := range to {
		a = c.attempt(b, p, patience, hangUp)
		if i == len(to)-1 || !errors.Is(a.err, syscall.ECONNREFUSED) {
			break
		}
	}
	return a
}

func (c *client) attempt(b *bridge, p post, patience, hangUp time.Duration) (a answer) {
	from := time.Now()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	ctx, end := context.WithTimeout(ctx, toConnect+patience)
	defer end()
	a.life, a.began = life{b.name, b.life.Load()}, from
	// The transport calls these in goroutines of its own, which may outlive the request.
	var number, sent, came, before atomic.Int64
	var on atomic.Pointer[counted]
	number.Store(a.life.number)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			number.Store(b.life.Load())
			if conn, ok := info.Conn.(*counted); ok {
				before.Store(conn.written.Load())
				on.Store(conn)
			}
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err != nil {
				return
			}
			sent.Store(int64(time.Since(from)))
			time.AfterFunc(patience, func() { cancel(errGaveUp) })
			if hangUp > 0 {
				time.AfterFunc(hangUp, func() { cancel(errHungUp) })
			}
		},
		GotFirstResponseByte: func() { came.Store(int64(time.Since(from))) },
	})
	a.err = c.exchange(ctx, b, p, &a)
	a.life.number = number.Load()
	a.came = time.Now()
	if sent.Load() > 0 {
		a.sent = from.Add(time.Duration(sent.Load()))
	}
	if came.Load() > 0 && a.err == nil {
		a.came = from.Add(time.Duration(came.Load()))
	}
	a.excused = b.excuse(from, a.came)
	conn := on.Load()
	a.whole = conn != nil && conn.written.Load()-before.Load() >= int64(len(p.body)) // its headers come before
	if a.excused == "" && a.err != nil {
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, errHungUp):
			a.excused = hungUp
		case errors.Is(cause, errGaveUp):
			a.gaveUp = true
		}
	}
	return a
}

// exchange sends the request and reads the answer.
func (c *client) exchange(ctx context.Context, b *bridge, p post, a *answer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.public+"/webhooks/"+p.provider.Name, bytes.NewReader(p.body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	for _, s := range p.signatures {
		request.Header.Add(p.provider.Signature.Header, s)
	}
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var said struct {
		ID     string          `json:"id"`
		Status json.RawMessage `json:"status"` // a word in a 200, a number in a problem
		Code   string          `json:"code"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return err
	}
	a.status, a.id, a.code = response.StatusCode, said.ID, said.Code
	if a.status == http.StatusOK {
		return json.Unmarshal(said.Status, &a.code)
	}
	return nil
}
