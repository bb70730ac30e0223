package consumer

import (
	"testing"

	"github.com/ade15e70/webhook-bridge/event"
)

func TestNoTrace(t *testing.T) {
	for _, text := range []string{
		"", "x", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
	} {
		m := &Message{Event: event.Event{TraceParent: text}}
		if got, ok := m.Trace(); ok {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
