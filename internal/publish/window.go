package publish

import (
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

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

// next returns the window as of another check of the stream. The very first check takes the configured
// window for the effective one.
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

// readWindow returns the window that an earlier process has written; zero if there is no file. The time in
// which no process ran isn't added: only a wall clock could measure it. If the file can't be read, the
// effective window of any stream begins at 0.
func readWindow(file string) (w window, err error) {
	content, err := fileio.Read(file, 1<<10)
	if err == nil {
		err = json.Unmarshal(content, &w)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return window{}, nil
	case err != nil:
		return window{Created: time.Unix(0, 0)}, err // no stream was created then
	}
	w.configured, w.at = w.Effective, time.Now()
	return w, nil
}

// observe updates the window, and begins to write it. It doesn't wait for the disk, which may hang: that
// must not delay the checks.
func (m *monitor) observe(found found) {
	was := m.lastWindow()
	is := was.next(found.info)
	is.configured = found.config.Duplicates
	m.window.Store(&is)
	isOther := !is.Created.Equal(was.Created)
	if isOther && was.Created.Unix() > 0 {
		m.log.Warn("stream is not that of the last check: "+
			"it was deleted with its events and created again, or restored, or this is another NATS",
			zap.Time("created", is.Created), zap.Time("last_created", was.Created))
	}
	if effective := is.now(); (isOther || is.configured != was.configured) && effective < is.configured {
		m.log.Info("stream may not know all ids of its duplicate window yet: spooled records are looked up before they are published",
			zap.Duration("duplicates", is.configured), zap.Duration("effective", effective.Round(time.Second)))
	}
	select {
	case m.saving <- struct{}{}:
		go m.save(is)
	default: // it is still being written; the next check tries again
	}
}

// save writes the window unless it is in the file already. The next process then knows whether the stream's
// window was raised.
func (m *monitor) save(is window) {
	defer func() { <-m.saving }()
	is.Effective = is.now()
	if m.file == "" || is.Created.Equal(m.saved.Created) && is.Effective == m.saved.Effective {
		return
	}
	content, _ := json.Marshal(is) // no error: of a time and a duration
	if err := fileio.Replace(m.file, append(content, '\n')); err != nil {
		m.log.Error("the stream's duplicate window can't be written: a later start may not know that it was raised",
			zap.String("file", m.file), zap.Error(err))
		return
	}
	m.saved = is
}
