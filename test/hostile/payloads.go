//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
)

const megabyte = 1 << 20

var (
	plainMegabyte = sync.OnceValue(func() []byte {
		return []byte(`{"name":"invitee.accepted","note":"` + strings.Repeat("x", megabyte-40) + `"}`)
	})
	worstMegabyte = sync.OnceValue(func() []byte { return worst(megabyte) })
)

// worst is JSON with everything expensive in it: names that are indices in descending order, partly
// escaped, numbers halfway between two doubles, surrogates in pairs and alone, objects out of order
// down to the deepest level.
func worst(size int) []byte {
	text := []byte(`{ "z":0`)
	for i := 0; len(text) < size-8000; i++ {
		name := strconv.Itoa(99_999_999 - i)
		switch i % 8 {
		case 0:
			text = fmt.Appendf(text, `, "\u%04x%s":1e20`, name[0], name[1:])
		case 1:
			text = fmt.Appendf(text, `, "%s":{"\u0062":1.7000000000000002581157%d,"1":"\uD83D\uDE00\uD800\/","0":-0}`, name, 100000+i)
		case 2:
			depth := 4
			if i%64 == 2 {
				depth = 500
			}
			text = fmt.Appendf(text, `, "%s":%s0%s`, name, strings.Repeat(`{"":`, depth), strings.Repeat(`,"0":0}`, depth))
		case 3:
			text = fmt.Appendf(text, `, "\uD800%s":"\u0001\u00e9\n"`, name)
		default:
			text = fmt.Appendf(text, `, "%s":1.7000000000000002581157%de%d`, name, 100000+i, i%600-300)
		}
	}
	text = append(text, '}')
	return append(text, strings.Repeat(" ", size-len(text))...)
}

// signedMegabytes sends deliveries like a vendor's, but of nearly 1 MB, each again and again.
func signedMegabytes(ctx context.Context, s *siege) {
	type signedBody struct {
		body      []byte
		signature string
	}
	var all []signedBody
	for i := range 64 {
		body, signature, id := signed(fmt.Sprintf("large-%d", i), megabyte-1000)
		s.signs(id)
		all = append(all, signedBody{body, signature})
	}
	var n atomic.Int64
	bodies(512, func(*siege) ([]byte, string) {
		b := all[int(n.Add(1))%len(all)]
		return b.body, b.signature
	})(ctx, s)
}

// replay sends captured deliveries again: unchanged, with another person in them, signed by
// somebody else, and old ones.
func replay(ctx context.Context, s *siege) {
	client := &http.Client{Timeout: 10 * time.Second}
	attackers(ctx, 8, func(i int) {
		body, signature, id := signed(fmt.Sprintf("captured-%d-%d", i, time.Now().UnixNano()), 100)
		s.signs(id)
		if a, err := post(ctx, client, "http://"+s.addr, body, signature); err != nil || a.status != http.StatusOK {
			return
		}
		try := func(what string, body []byte, signature string) {
			if a, err := post(ctx, client, "http://"+s.addr, body, signature); err == nil {
				s.count(fmt.Sprintf("%s: %d", what, a.status))
			}
		}
		old, err := flock.Provider.Renew(body, time.Now().Add(-time.Hour))
		if err != nil {
			panic(err) // of this program
		}
		changed := []byte(strings.Replace(string(body), "captured", "somebody", 1))
		for n := 0; n < 20 && ctx.Err() == nil; n++ {
			try("as it was", body, signature)
			try("changed", changed, signature)
			try("guessed", changed, strings.Repeat("0", 64))
			try("another's", changed, sign("another", changed))
			try("old", old, sign(flockSecret, old))
		}
	})
}

func sign(key string, body []byte) string {
	header, err := flock.Provider.Sign(verify.Signing{Scheme: verify.Payload, Key: secret.New(key), Body: body})
	if err != nil {
		panic(err) // of this program
	}
	return header.Get(flock.Provider.Signature.Header)
}
