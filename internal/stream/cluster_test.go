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

// newClusterFixture returns a fixture with three servers, and a stream with three replicas.
func newClusterFixture(t *testing.T, processes bool) (*fixture, map[string]*natsdtest.Server) {
	t.Helper()
	servers := natsdtest.StartCluster(t, 3, processes, "")
	nc := natsdtest.Connect(t, natsdtest.URLs(servers)).Conn()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1000), jetstream.WithPublishAsyncTimeout(20*time.Second))
	expect.NoError(t, err)
	f := &fixture{t: t, nc: nc, js: js}
	natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Replicas: 3})
	return f, map[string]*natsdtest.Server{"n0": servers[0], "n1": servers[1], "n2": servers[2]}
}

// store stores messages with the ids from to to-1, without waiting for each. If one fails, such as during
// an election, it is sent again.
func (f *fixture) store(from, to int) {
	f.t.Helper()
	var all []jetstream.PubAckFuture
	for i := from; i < to; i++ {
		m := &nats.Msg{Subject: "s.a", Header: nats.Header{nats.MsgIdHdr: {fmt.Sprint(i)}}}
		future, err := f.js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute))
		expect.NoError(f.t, err)
		all = append(all, future)
	}
	<-f.js.PublishAsyncComplete()
	for _, future := range all {
		select {
		case <-future.Ok():
		case err := <-future.Err():
			f.t.Log(err)
			poll.Until(f.t, "store a message", func() bool {
				_, err := f.js.PublishMsg(f.t.Context(), future.Msg())
				return err == nil
			})
		}
	}
}

func (f *fixture) find(ctx context.Context, wanted func(string) bool) (Found, error) {
	r := Reader{JetStream: f.js, Names: LookupNames, Denied: new(Denied)}
	return r.Find(ctx, "S", time.Time{}, wanted)
}

// follower returns the name of a server that follows the stream's leader, and to which we aren't connected.
func (f *fixture) follower(servers map[string]*natsdtest.Server) (name string) {
	f.t.Helper()
	poll.Until(f.t, "find a follower", func() bool {
		stream, err := f.js.Stream(f.t.Context(), "S")
		if err != nil || stream.CachedInfo().Cluster == nil {
			return false
		}
		for _, peer := range stream.CachedInfo().Cluster.Replicas {
			if peer.Current && servers[peer.Name].URL() != f.nc.ConnectedUrl() {
				name = peer.Name
			}
		}
		return name != ""
	})
	return name
}

// A consumer may be placed on a follower that lags. A reader still finds the messages that the follower lacks.
func TestLaggingFollower(t *testing.T) {
	t.Parallel()
	const all = 100_000
	f, servers := newClusterFixture(t, true)
	f.store(0, 1)
	name := f.follower(servers)
	servers[name].Stop()
	f.store(1, all)
	var stop, isRead atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() { // short ones, so that many are placed on it while it lags
			for !stop.Load() {
				n := 0
				r := Reader{
					JetStream: f.js, Name: "test-", Section: Section{Stream: "S", Last: 1, Stop: true},
					Handle: func(Message) error { n++; return nil },
				}
				err := r.Run(t.Context())
				if err == nil && n != 1 || n > 1 { // on a busy machine it may give up
					t.Errorf("the last message was read %d times, %v", n, err)
				}
				if err == nil {
					isRead.Store(true)
				}
			}
		})
	}
	servers[name].Start()
	readers.Go(func() { // so that it catches up slowly
		for !stop.Load() {
			servers[name].Pause()
			time.Sleep(20 * time.Millisecond)
			servers[name].Resume()
			time.Sleep(2 * time.Millisecond)
		}
	})
	poll.Until(t, "find both", func() bool { // on a busy machine it may give up
		found, err := f.find(t.Context(), func(id string) bool { return id == "0" || id == fmt.Sprint(all-1) })
		if err == nil && (len(found.IDs) != 2 || found.Last != all) {
			t.Errorf("found %v, up to %d", found.IDs, found.Last)
		}
		return err == nil
	})
	poll.Until(f.t, "catch up", func() bool {
		stream, err := f.js.Stream(t.Context(), "S")
		return err == nil && !slices.ContainsFunc(stream.CachedInfo().Cluster.Replicas, func(p *jetstream.PeerInfo) bool { return !p.Current })
	})
	poll.Until(t, "read the last message", isRead.Load)
	stop.Store(true)
	readers.Wait()
}

// If the last messages were removed, only the leader can tell that there are no more.
func TestEndIsRemoved(t *testing.T) {
	t.Parallel()
	f, _ := newClusterFixture(t, false)
	f.store(0, 10)
	stream, err := f.js.Stream(t.Context(), "S")
	expect.NoError(t, err)
	for _, sequence := range []uint64{5, 9, 10} {
		poll.Until(f.t, "remove a message", func() bool {
			err := stream.DeleteMsg(t.Context(), sequence)
			return err == nil || natsdtest.Message(t, stream, sequence) == nil // an answer may be lost
		})
	}
	// A follower may remove them a moment later.
	finds := func(ids int) func() bool {
		return func() bool {
			found, err := f.find(t.Context(), func(string) bool { return true })
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
