//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
)

// variants sends one old capture again and again, with other unsigned names and padding.
func variants(ctx context.Context, s *siege) {
	const scheme = "timestamp-data" // all else is unsigned
	old, err := flock.Provider.NewBody("invitee.accepted", []byte(`{"invitee":{"id":"captured"}}`), "captured")
	if err == nil {
		old, err = flock.Provider.Renew(old, time.Now().Add(-time.Hour))
	}
	if err != nil {
		panic(err) // of this program
	}
	signature, err := flock.Provider.Sign(verify.Signing{Scheme: scheme, Key: secret.New(flockSecret), Body: old})
	if err != nil {
		panic(err)
	}
	client := &http.Client{Timeout: 10 * time.Second}
	var n atomic.Int64
	attackers(ctx, 8, func(int) {
		body := strings.Replace(string(old), "invitee.accepted", fmt.Sprint("invitee.variant", n.Add(1)), 1)
		body = strings.Replace(body, "{", `{"padding":"`+strings.Repeat("x", 400<<10)+`",`, 1)
		s.posted(post(ctx, client, "http://"+s.addr, []byte(body), signature.Get(flock.Provider.Signature.Header)))
	})
}

// pushOut gets a delivery quarantined with a 200, and then sends as many old signed ones as
// possible.
func pushOut(ctx context.Context, s *siege) {
	client := &http.Client{Timeout: 10 * time.Second}
	nameless := fmt.Appendf(nil, `{"timestamp":%d}`, time.Now().Unix())
	s.posted(post(ctx, client, "http://"+s.addr, nameless, sign(flockSecret, nameless)))
	var n atomic.Int64
	attackers(ctx, 8, func(int) {
		body, _, _ := signed(fmt.Sprint("old-", n.Add(1)), 100<<10)
		old, err := flock.Provider.Renew(body, time.Now().Add(-time.Hour))
		if err != nil {
			panic(err) // of this program
		}
		s.posted(post(ctx, client, "http://"+s.addr, old, sign(flockSecret, old)))
	})
}
