package publish

import (
	"fmt"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// With three copies on three servers, any server may go, and acknowledged messages stay.
func TestCluster(t *testing.T) {
	t.Parallel()
	servers := natsdtest.StartCluster(t, 3, false, "")
	urls := natsdtest.URLs(servers)
	one := open(t, urls).connected() // makes it with one replica
	one.stores("one")
	f := open(t, urls, func(c *Config) { c.Stream.Replicas, c.Stream.Explicit.Replicas = 3, true }).connected()
	js := natsdtest.Connect(t, urls)
	poll.Until(t, "three replicas", func() bool {
		stream, err := js.Stream(t.Context(), "WEBHOOKS")
		if err != nil {
			return false
		}
		info := stream.CachedInfo()
		current := 0
		if info.Cluster != nil && info.Cluster.Leader != "" {
			for _, peer := range info.Cluster.Replicas {
				if peer.Current {
					current++
				}
			}
		}
		return info.Config.Replicas == 3 && current == 2
	})
	want := []string{"one"}
	for i, s := range servers[:1] {
		s.Stop()
		id := fmt.Sprint("without ", i)
		poll.Until(t, "stored "+id, func() bool { _, err := f.publish(id); return err == nil })
		want = append(want, id)
		s.Start()
	}
	poll.Until(t, "the stream", func() bool { _, err := js.Stream(t.Context(), "WEBHOOKS"); return err == nil })
	expect.Equal(t, want, natsdtest.IDs(t, js), "stored")
}
