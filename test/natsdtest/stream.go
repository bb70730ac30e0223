package natsdtest

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/poll"
)

// CreateStream creates a stream, and tries again until it succeeds: a cluster needs a leader first,
// and a server that has just deleted a stream of that name may still be removing its files.
func CreateStream(t testing.TB, js jetstream.JetStream, conf jetstream.StreamConfig) (stream jetstream.Stream) {
	t.Helper()
	var err error
	if !poll.Holds(func() bool {
		stream, err = js.CreateStream(t.Context(), conf)
		return err == nil
	}) {
		t.Fatal(err)
	}
	return stream
}

// IDs returns the ids of the messages in the stream WEBHOOKS, in order. A new stream acknowledges
// messages before the server lists it (2.15.3).
func IDs(t testing.TB, js jetstream.JetStream) (ids []string) {
	t.Helper()
	var stream jetstream.Stream
	var err error
	if !poll.Holds(func() bool {
		stream, err = js.Stream(t.Context(), "WEBHOOKS")
		return err == nil
	}) {
		t.Fatal(err)
	}
	for sequence := range stream.CachedInfo().State.LastSeq {
		if m := Message(t, stream, sequence+1); m != nil {
			ids = append(ids, m.Header.Get(jetstream.MsgIDHeader))
		}
	}
	return ids
}

// Message returns a message of the stream; nil if it has none of that number.
func Message(t testing.TB, stream jetstream.Stream, sequence uint64) (m *jetstream.RawStreamMsg) {
	t.Helper()
	var err error
	if !poll.Holds(func() bool {
		m, err = stream.GetMsg(t.Context(), sequence)
		return err == nil || errors.Is(err, jetstream.ErrMsgNotFound)
	}) {
		t.Fatal(err)
	}
	return m
}
