package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
	"time"
)

// client sends deliveries and takes the times.
type client struct{ *http.Client }

func newClient() *client {
	return &client{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true}}}
}

// errHungUp: the sender didn't want to wait.
var errHungUp = errors.New("the sender hung up")

// deliver sends it once: where a connection is refused, to the next bridge, as a proxy does. hangUp is after how long
// the sender goes, once all is sent; 0 is never.
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
	ctx, end := context.WithTimeout(ctx, patience)
	defer end()
	a.life = life{b.name, b.life.Load()}
	// The transport calls these on goroutines of its own, which may outlive the request.
	var number, sent, came atomic.Int64
	number.Store(a.life.number)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { number.Store(b.life.Load()) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				sent.Store(int64(time.Since(from)))
				if hangUp > 0 {
					time.AfterFunc(hangUp, func() { cancel(errHungUp) })
				}
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
	if a.excused == "" && a.err != nil && errors.Is(context.Cause(ctx), errHungUp) {
		a.excused = hungUp
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
	if p.signature != "" {
		request.Header.Set(p.provider.Header, p.signature)
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
