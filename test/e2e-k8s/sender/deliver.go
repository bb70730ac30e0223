package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// deliverer sends one vendor's deliveries over one kind of connections.
type deliverer struct {
	url      string // without the endpoint's path
	provider *verify.Provider
	key      atomic.Pointer[secret.Secret]
	client   *http.Client
}

// client keeps connections alive, or makes one for each delivery.
func client(keepAlive bool) *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: !keepAlive, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Hour}}
}

// deliver sends an event once, like a vendor that never sends again, and returns the answer: the
// status, and the status text of a 200.
func (d *deliverer) deliver(ctx context.Context, id string) string {
	answer, err := d.send(ctx, id)
	if err != nil {
		return "no answer: " + err.Error()
	}
	return answer
}

func (d *deliverer) send(ctx context.Context, id string) (string, error) {
	body, err := d.provider.NewBody(d.provider.Events[0], nil, id)
	if err != nil {
		return "", err
	}
	if body, err = d.provider.Renew(body, time.Now()); err != nil {
		return "", err
	}
	header, err := d.provider.Sign(verify.Signing{Key: *d.key.Load(), Body: body})
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/webhooks/"+d.provider.Name, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.GetBody = nil // or net/http would send again by itself
	request.Header = header
	request.Header.Set("Content-Type", "application/json")
	response, err := d.client.Do(request)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return "", err
	}
	var answer struct{ Status, Code json.RawMessage }
	if err := json.Unmarshal(text, &answer); err != nil {
		return "", fmt.Errorf("an answer that can't be read: %s %q", response.Status, text)
	}
	word := answer.Status
	if response.StatusCode != http.StatusOK {
		word = answer.Code
	}
	return fmt.Sprintf("%d %s", response.StatusCode, bytes.Trim(word, `"`)), nil
}
