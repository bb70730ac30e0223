//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// attacks lists the attacks.
var attacks = []attack{
	{
		name: "none", about: "good senders alone, to compare with", short: 3 * time.Second,
		run: func(ctx context.Context, _ *siege) { <-ctx.Done() },
	},
	{
		name: "slow-headers", about: "1,000 connections whose headers come a byte at a time", short: 7 * time.Second,
		run: trickle("POST /webhooks/flock HTTP/1.1\r\n", "X: "+strings.Repeat("x", 500)), evidence: []string{"connections", "cut off"},
	},
	{
		name: "worst-heads", about: "5,000 connections with the dearest head that is admitted, which doesn't end", short: 7 * time.Second,
		most: memoryLimit, run: heads(5000, worstHead()), evidence: []string{"heads sent", "cut off"},
	},
	{
		name: "worst-heads-tls", about: "the same under TLS", short: 10 * time.Second, tls: true,
		most: memoryLimit, run: heads(5000, worstHead()), evidence: []string{"heads sent", "cut off"},
	},
	{
		name: "tiny-headers", about: "1,600 connections with 3,621 headers of 5 bytes each", short: 4 * time.Second,
		most: memoryLimit, run: heads(1600, headBegin+strings.Repeat("aa:\r\n", 3621)), evidence: []string{"431"},
	},
	{
		name: "endless-heads", about: "1,000 connections whose headers never end", short: 4 * time.Second,
		most: memoryLimit, run: endlessHeads, evidence: []string{"431"},
	},
	{
		name: "refused", about: "requests for what isn't there, 800/s over 64 connections, where no more are admitted", short: 4 * time.Second, files: 256 + 64,
		run: refusedSenders, evidence: []string{"404", "cut off"},
	},
	{
		name: "admin", about: "300 requests to the admin listener whose bodies never come", short: 6 * time.Second,
		run: halfRequests, evidence: []string{"connections", "cut off"},
	},
	{
		name: "slow-bodies", about: "1,000 connections whose bodies come a byte at a time", short: 7 * time.Second,
		run: trickle("POST /webhooks/flock HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n", strings.Repeat(" ", 500)), evidence: []string{"connections", "408"},
	},
	{
		name: "half-bodies", about: "1,000 senders that send most of a 512 KB body as fast as they can, and stop", short: 7 * time.Second,
		run: halfBodies, evidence: []string{"connections", "503"}, busy: 0.5,
	},
	{
		name: "idle", about: "twice as many connections as the bridge admits, kept alive and idle", short: 5 * time.Second,
		run: idle, evidence: []string{"404", "dropped"},
	},
	{
		name: "large", about: "512 unsigned bodies of 1 MB at a time", short: 4 * time.Second, env: oneMegabyte,
		run: bodies(512, func(*siege) ([]byte, string) { return plainMegabyte(), "" }), evidence: []string{"401"}, busy: 0.5,
	},
	{
		name: "large-signed", about: "512 correctly signed bodies of 1 MB at a time", short: 4 * time.Second, env: oneMegabyte,
		run: signedMegabytes, evidence: []string{"200"}, busy: 0.5,
	},
	{
		name: "worst", about: "512 bodies of 1 MB at a time, of the JSON that is dearest to read", short: 4 * time.Second, env: oneMegabyte,
		run: bodies(512, func(*siege) ([]byte, string) { return worstMegabyte(), "" }), evidence: []string{"401"}, busy: 0.5,
	},
	{
		name: "worst-alone", about: "the same, one at a time: what does it cost?", short: 3 * time.Second, env: oneMegabyte,
		run: bodies(1, func(*siege) ([]byte, string) { return worstMegabyte(), "" }), evidence: []string{"401"}, each: "401",
	},
	{
		name: "many", about: "small unsigned deliveries, as many as go, each on a connection of its own", short: 3 * time.Second,
		run: many, evidence: []string{"401"},
	},
	{
		name: "malformed", about: "requests that aren't", short: 3 * time.Second,
		run: malformed, evidence: []string{"400", "501", "505", "431", "417"},
	},
	{
		name: "unread", about: "200 senders that pipeline requests and never read an answer", short: 3 * time.Second,
		run: unread, evidence: []string{"connections", "stuck"},
	},
	{
		name: "replay", about: "captured deliveries sent again, as they were, changed and old", short: 3 * time.Second,
		run: replay, evidence: []string{"as it was: 200", "changed: 401", "guessed: 401", "another's: 401", "old: 401"}, quarantined: true,
	},
	{
		name: "variants", about: "one old capture, with 400 KB of other unsigned text around it each time", short: 3 * time.Second,
		run: variants, evidence: []string{"401"}, quarantined: true, kept: map[string]uint64{"stale": 1},
	},
	{
		name: "push-out", about: "old deliveries, all signed, against one in quarantine that was answered 200", short: 3 * time.Second,
		env: []string{"QUARANTINE_MAX_BYTES=2MiB"},
		run: pushOut, evidence: []string{"200", "401"}, quarantined: true, kept: map[string]uint64{"unreadable": 1},
	},
}

var oneMegabyte = []string{"MAX_BODY_BYTES=1MiB"}

// status reads an answer and counts it.
func (s *siege) status(ctx context.Context, r *bufio.Reader) bool {
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		if ctx.Err() == nil { // at the end we hang up ourselves
			s.count("cut off")
		}
		return false
	}
	defer answer.Body.Close()
	s.count(fmt.Sprint(answer.StatusCode))
	_, err = io.Copy(io.Discard, answer.Body)
	return err == nil && !answer.Close
}

// trickle sends the beginning at once and the rest byte by byte, on 1,000 connections at a time.
func trickle(begin, rest string) func(context.Context, *siege) {
	return func(ctx context.Context, s *siege) {
		s.connections(ctx, 1000, func(c net.Conn) {
			s.drip(ctx, c, begin, 100*time.Millisecond, strings.SplitSeq(rest, ""))
		})
	}
}

func halfBodies(ctx context.Context, s *siege) {
	part := strings.Repeat(" ", 511<<10)
	s.connections(ctx, 1000, func(c net.Conn) {
		go func() {
			_, _ = io.WriteString(c, "POST /webhooks/flock HTTP/1.1\r\nHost: x\r\nContent-Length: 524288\r\n\r\n"+part)
		}()
		s.status(ctx, bufio.NewReader(c))
	})
}

func idle(ctx context.Context, s *siege) {
	s.connections(ctx, 8192, func(c net.Conn) {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		r := bufio.NewReaderSize(c, 512)
		if !s.status(ctx, r) {
			return
		}
		if _, err := r.ReadByte(); err != nil && ctx.Err() == nil {
			s.count("dropped")
		}
		pause(ctx, time.Second)
	})
}

// bodies sends complete bodies, that many at a time.
func bodies(n int, next func(*siege) (body []byte, signature string)) func(context.Context, *siege) {
	return func(ctx context.Context, s *siege) {
		transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: n}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
		attackers(ctx, n, func(int) {
			body, signature := next(s)
			s.posted(post(ctx, client, "http://"+s.addr, body, signature))
		})
	}
}

// posted counts what post returned.
func (s *siege) posted(a answer, err error) {
	switch {
	case err == nil:
		s.count(strconv.Itoa(a.status))
	case errors.Is(err, context.DeadlineExceeded):
		s.count("unanswered") // at the end, mostly
	default:
		s.count("cut off")
	}
}

func many(ctx context.Context, s *siege) {
	transport := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	body, _, _ := signed("many", 600)
	attackers(ctx, 64, func(int) {
		s.posted(post(ctx, client, "http://"+s.addr, body, strings.Repeat("0", 64)))
	})
}

func malformed(ctx context.Context, s *siege) {
	const head = "POST /webhooks/flock HTTP/1.1\r\nHost: x\r\n"
	texts := []string{
		"\r\n\r\n\r\n", "nonsense\r\n\r\n", "GET /\r\n\r\n", "POST /webhooks/flock HTTP/1.1\r\n\r\n", "POST /webhooks/flock HTTP/9.9\r\nHost: x\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", strings.Repeat("\x00", 100) + "\r\n\r\n",
		head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345", head + "Content-Length: -1\r\n\r\n", head + "Content-Length: 99999999999999999999\r\n\r\n",
		head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
		head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", head + "Bad Header: x\r\n\r\n", head + "Expect: everything\r\n\r\n",
		head + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", head + strings.Repeat("X: y\r\n", 10_000) + "\r\n",
		head + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 10_000) + "\r\n{\r\n0\r\n\r\n",
		head + "Transfer-Encoding: chunked\r\nTrailer: X-Flock-Signature\r\n\r\n2\r\n{}\r\n0\r\nX-Flock-Signature: " + strings.Repeat("0", 64) + "\r\n\r\n",
	}
	attackers(ctx, 32, func(i int) {
		for n := range texts {
			c, end := s.dial(ctx)
			if c == nil {
				return
			}
			go func() { _, _ = io.WriteString(c, texts[(i+n)%len(texts)]) }()
			_ = c.SetReadDeadline(time.Now().Add(time.Second)) // some wait for more of it
			s.status(ctx, bufio.NewReader(c))
			end()
		}
	})
}

// unread pipelines small requests and never reads, until the buffers of both sides are full.
func unread(ctx context.Context, s *siege) {
	text := strings.Repeat("POST /webhooks/flock HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 1000)
	s.connections(ctx, 200, func(c net.Conn) {
		for {
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := io.WriteString(c, text); err != nil {
				s.count("stuck")
				break
			}
		}
		pause(ctx, 20*time.Second) // longer than the bridge waits
	})
}
