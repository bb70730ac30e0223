package publish

import (
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ade15e70/webhook-bridge/internal/fileio"
)

// window is how far back a stream recognises the ids of messages that it has stored.
//
// Raising a stream's window doesn't restore the ids that it has forgotten. nats-server drops ids by
// the current window (server/stream.go, purgeMsgIds) and reloads them from its messages only when
// it starts (rebuildDedupe), which clients can't see. So the effective window is the smaller of
// two: the configured one, and the effective one at the last check plus the time since.
type window struct {
	Created    time.Time     `json:"created"` // tells the stream from an earlier one of the same name
	Effective  time.Duration `json:"effective"`
	at         time.Time     // when Effective was measured
	configured time.Duration
}

func (w window) now() time.Duration { return min(w.configured, w.Effective+time.Since(w.at)) }

// next returns the window after another look at the stream. The very first look takes the
// configured window for the effective one.
func (w window) next(info *jetstream.StreamInfo) window {
	is := window{Created: info.Created, configured: info.Config.Duplicates, at: time.Now()}
	switch {
	case w.Created.Equal(is.Created):
		is.Effective = min(w.now(), is.configured)
	case w.Created.IsZero(), info.State.LastSeq == 0:
		is.Effective = is.configured
	}
	return is
}

// readWindow returns the window that an earlier process has written; zero if there is none. The time in
// which no process ran isn't added: only a wall clock could measure it. With an error, the returned
// window begins at 0.
func readWindow(file string) (w window, err error) {
	content, err := fileio.Read(file, 1<<10)
	if err == nil {
		err = json.Unmarshal(content, &w)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return window{}, nil
	case err != nil:
		return window{Created: time.Unix(0, 0)}, err // of no stream
	}
	w.configured, w.at = w.Effective, time.Now()
	return w, nil
}
