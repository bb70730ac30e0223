package publish

import (
	"errors"
	"sync"
	"testing"

	"github.com/ade15e70/webhook-bridge/internal/stream"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
)

// A look-up ends with its connection. That doesn't look like a missing right: the waiting records are looked
// up again before they are published.
func TestLookUpEndsWithConnection(t *testing.T) {
	t.Parallel()
	s := natsdtest.Start(t, "")
	f := open(t, s.URL()).connected()
	f.stores("1")
	f.stores("2")
	stop := sync.OnceFunc(s.Stop)
	_, err := f.Stored(t.Context(), Event, stream.Beginning, func(string) bool {
		stop()
		<-f.session.Load().closed
		return true
	})
	if err == nil || errors.Is(err, stream.ErrNoRights) {
		t.Errorf("looking up: %v", err)
	}
	s.Start()
	f.connected()
	found, err := f.Stored(t.Context(), Event, stream.Beginning, func(string) bool { return true })
	expect.NoError(t, err)
	expect.Equal(t, 2, len(found.IDs), "ids found on the next connection")
}
