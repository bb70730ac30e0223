//go:build linux

package main

import (
	"bytes"
	"math/rand/v2"
	"strconv"

	proxied "github.com/Shopify/toxiproxy/v2/stream"
	toxiproxy "github.com/Shopify/toxiproxy/v2/toxics"
)

// swallow is a toxic that drops a share of JetStream's acknowledgements, and nothing else, from a
// nats-server to its client.
type swallow struct {
	Share float64 `json:"share"`
}

func init() { toxiproxy.Register("swallow", new(swallow)) }

// Pipe passes whole messages on.
func (s *swallow) Pipe(stub *toxiproxy.ToxicStub) {
	var rest []byte
	pass := func(data []byte, c *proxied.StreamChunk) {
		if len(data) > 0 {
			stub.Output <- &proxied.StreamChunk{Data: data, Timestamp: c.Timestamp}
		}
	}
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			var whole []byte
			whole, rest = s.filter(append(rest, c.Data...))
			pass(whole, c)
		}
	}
}

// filter returns the whole messages at the beginning of some bytes, without the dropped ones, and
// the rest.
func (s *swallow) filter(sent []byte) (whole, rest []byte) {
	for {
		line, after, ok := bytes.Cut(sent, []byte("\r\n"))
		if !ok {
			return whole, sent
		}
		payload := 0
		if fields := bytes.Fields(line); len(fields) > 1 && (string(fields[0]) == "MSG" || string(fields[0]) == "HMSG") {
			size, _ := strconv.Atoi(string(fields[len(fields)-1]))
			if payload = size + len("\r\n"); len(after) < payload {
				return whole, sent
			}
		}
		length := len(line) + len("\r\n") + payload
		if !bytes.HasPrefix(after[:payload], []byte(`{"stream":`)) || rand.Float64() >= s.Share {
			whole = append(whole, sent[:length]...)
		}
		sent = sent[length:]
	}
}
