package stream

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// clustered is a world with three servers and a stream of three copies.
func clustered(t *testing.T, processes bool) (*world, map[string]*natsdtest.Server) {
	t.Helper()
	servers := natsdtest.StartCluster(t, 3, processes, "")
	nc := natsdtest.Connect(t, natsdtest.URLs(servers)).Conn()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1000), jetstream.WithPublishAsyncTimeout(20*time.Second))
	expect.NoError(t, err)
	w := &world{t: t, nc: nc, js: js}
	natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Replicas: 3})
	return w, map[string]*natsdtest.Server{"n0": servers[0], "n1": servers[1], "n2": servers[2]}
}

// store stores messages with the ids from-to, without waiting for each. One that failed, such as
// during an election, is sent again.
func (w *world) store(from, to int) {
	w.t.Helper()
	var all []jetstream.PubAckFuture
	for i := from; i < to; i++ {
		m := &nats.Msg{Subject: "s.a", Header: nats.Header{nats.MsgIdHdr: {fmt.Sprint(i)}}}
		future, err := w.js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute))
		expect.NoError(w.t, err)
		all = append(all, future)
	}
	<-w.js.PublishAsyncComplete()
	for _, future := range all {
		select {
		case <-future.Ok():
		case err := <-future.Err():
			w.t.Log(err)
			poll.Until(w.t, "store a message", func() bool {
				_, err := w.js.PublishMsg(w.t.Context(), future.Msg())
				return err == nil
			})
		}
	}
}

func (w *world) find(ctx context.Context, wanted func(string) bool) (Found, error) {
	return Find(ctx, w.js, "S", time.Time{}, wanted, new(Denied))
}

// follower returns the name of a server that has a copy of the stream, isn't its leader and isn't
// ours.
func (w *world) follower(servers map[string]*natsdtest.Server) (name string) {
	w.t.Helper()
	poll.Until(w.t, "find a follower", func() bool {
		stream, err := w.js.Stream(w.t.Context(), "S")
		if err != nil || stream.CachedInfo().Cluster == nil {
			return false
		}
		for _, peer := range stream.CachedInfo().Cluster.Replicas {
			if peer.Current && servers[peer.Name].URL() != w.nc.ConnectedUrl() {
				name = peer.Name
			}
		}
		return name != ""
	})
	return name
}

// A consumer may be placed on a follower that lags. The messages that it lacks aren't taken for
// never stored.
func TestLaggingFollower(t *testing.T) {
	t.Parallel()
	const all = 100_000
	w, servers := clustered(t, true)
	w.store(0, 1)
	name := w.follower(servers)
	servers[name].Stop()
	w.store(1, all)
	var stop, isRead atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() { // short ones, so that many are placed on it while it lags
			for !stop.Load() {
				n := 0
				r := Reader{
					JetStream: w.js, Name: "test-", Section: Section{Stream: "S", Last: 1, Stop: true},
					Handle: func(Message) error { n++; return nil },
				}
				err := r.Run(t.Context())
				if err == nil && n != 1 || n > 1 { // a busy machine's may be given up
					t.Errorf("the last message was read %d times, %v", n, err)
				}
				if err == nil {
					isRead.Store(true)
				}
			}
		})
	}
	servers[name].Start()
	readers.Go(func() { // it has little time to catch up
		for !stop.Load() {
			servers[name].Pause()
			time.Sleep(20 * time.Millisecond)
			servers[name].Resume()
			time.Sleep(2 * time.Millisecond)
		}
	})
	poll.Until(t, "find both", func() bool { // a busy machine's may be given up
		found, err := w.find(t.Context(), func(id string) bool { return id == "0" || id == fmt.Sprint(all-1) })
		if err == nil && (len(found.IDs) != 2 || found.Last != all) {
			t.Errorf("found %v, up to %d", found.IDs, found.Last)
		}
		return err == nil
	})
	poll.Until(w.t, "catch up", func() bool {
		stream, err := w.js.Stream(t.Context(), "S")
		return err == nil && !slices.ContainsFunc(stream.CachedInfo().Cluster.Replicas, func(p *jetstream.PeerInfo) bool { return !p.Current })
	})
	poll.Until(t, "read the last message", isRead.Load)
	stop.Store(true)
	readers.Wait()
}

// If the last messages were removed, only the leader knows that there are no more.
func TestEndIsRemoved(t *testing.T) {
	t.Parallel()
	w, _ := clustered(t, false)
	w.store(0, 10)
	stream, err := w.js.Stream(t.Context(), "S")
	expect.NoError(t, err)
	for _, sequence := range []uint64{5, 9, 10} {
		poll.Until(w.t, "remove a message", func() bool {
			err := stream.DeleteMsg(t.Context(), sequence)
			return err == nil || natsdtest.Message(t, stream, sequence) == nil // an answer may be lost
		})
	}
	// A follower may remove them a moment later.
	finds := func(ids int) func() bool {
		return func() bool {
			found, err := w.find(t.Context(), func(string) bool { return true })
			if err == nil && ids > 0 && found.Last != 10 {
				t.Fatalf("found %v", found)
			}
			return err == nil && len(found.IDs) == ids
		}
	}
	poll.Until(t, "find what is left", finds(7))
	poll.Until(t, "purge", func() bool { return stream.Purge(t.Context()) == nil })
	poll.Until(t, "find nothing", finds(0))
}
