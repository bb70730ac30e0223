//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

const headBegin = "POST /webhooks/flock HTTP/1.1\r\nHost: x\r\n"

// worstHead is the most expensive head that is admitted: a hundred different names in nearly 8 KiB.
// It isn't complete.
func worstHead() string {
	var b strings.Builder
	b.WriteString(headBegin)
	for i := range 99 {
		fmt.Fprintf(&b, "%c%d: %s\r\n", 'a'+i%26, i, strings.Repeat("x", 70))
	}
	return b.String()
}

// heads opens that many connections, sends a head on each, and waits for the answer.
func heads(n int, text string) func(context.Context, *siege) {
	return func(ctx context.Context, s *siege) {
		s.connections(ctx, n, func(c net.Conn) {
			if _, err := io.WriteString(c, text); err == nil {
				s.count("heads sent")
			}
			s.status(ctx, bufio.NewReaderSize(c, 512))
		})
	}
}

// endlessHeads sends headers until the connection is closed.
func endlessHeads(ctx context.Context, s *siege) {
	text := headBegin + strings.Repeat("aa:\r\n", 20)
	s.connections(ctx, 1000, func(c net.Conn) {
		s.drip(ctx, c, text, 50*time.Millisecond, func(yield func(string) bool) {
			for yield(strings.Repeat("aa:\r\n", 20)) {
			}
		})
	})
}

// refusedSenders request unknown paths, 800 times a second over 64 connections, against a limit of
// 64.
func refusedSenders(ctx context.Context, s *siege) {
	s.connections(ctx, 64, func(c net.Conn) {
		r := bufio.NewReader(c)
		for ctx.Err() == nil {
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil || !s.status(ctx, r) {
				return
			}
			pause(ctx, 80*time.Millisecond)
		}
	})
}

// halfRequests announce a body to the admin listener that never comes. They come one after the other:
// a flood of new connections is something else, and cuts a probe off (SECURITY.md).
func halfRequests(ctx context.Context, s *siege) {
	s.addr = s.admin
	attackers(ctx, 300, func(int) {
		pause(ctx, rand.N(4*time.Second))
		c, end := s.dial(ctx)
		if c == nil {
			return
		}
		defer end()
		_, _ = io.WriteString(c, "PUT /log/level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
		s.status(ctx, bufio.NewReader(c))
	})
}
