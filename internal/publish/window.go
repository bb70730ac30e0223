package publish

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/filewatch"
)

// windows holds each stream's effective duplicate window: how far back it recognises an id.
//
// Raising a stream's window doesn't restore the ids that it has forgotten. nats-server drops ids by
// the current window (server/stream.go, purgeMsgIds) and reloads them from its messages only when
// it starts (rebuildDedupe), which clients can't see. So the effective window is the smaller of
// two: the configured one, and the effective one at the last check plus the time since. Only time
// in which this process runs counts, because nothing but a wall clock could measure the rest.
//
// A stream that this directory has never seen starts with its configured window if the spool is
// empty. Such a spool will hold nothing older than the process, whose ids the stream knows, and
// another instance's older delivery of the same event would be stored twice even if published
// directly (ADR 9). Otherwise, or if the stream was deleted and created again, it starts with 0,
// unless it has never held a message.
type windows struct {
	file     string // keeps the windows over a restart; "": none
	readOnly bool
	trusting bool // a stream never seen before starts with its configured window
	log      *zap.Logger

	mu      sync.Mutex
	known   map[string]window // by the stream's name
	changed chan struct{}     // requests to write the file; holds at most one
	stop    context.CancelFunc
	stopped chan struct{}
}

// window is one stream's duplicate window.
type window struct {
	Created    time.Time     `json:"created"` // tells a stream from an earlier one of the same name
	Configured time.Duration `json:"configured"`
	Effective  time.Duration `json:"effective"` // at this time:
	at         time.Time
	saved      time.Duration // the effective window in the file
	current    bool          // this process has seen the stream
}

func (w window) now() time.Duration { return min(w.Configured, w.Effective+time.Since(w.at)) }

func openWindows(file string, readOnly, trusting bool, log *zap.Logger) *windows {
	w := &windows{file: file, readOnly: readOnly, trusting: trusting, log: log, known: make(map[string]window), changed: make(chan struct{}, 1), stopped: make(chan struct{})}
	if err := w.read(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.trusting = false
		log.Warn("stream-windows.json can't be read: until the streams' duplicate windows are known again, spooled records are looked up before they are published",
			zap.Error(err))
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	go w.run(ctx)
	return w
}

// of returns the stream's effective window; 0 while it is unknown.
func (w *windows) of(stream string) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known := w.known[stream]; known.current {
		return known.now()
	}
	return 0
}

// observe updates the window of a stream whose info has just been read.
func (w *windows) observe(info *jetstream.StreamInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was, known := w.known[info.Config.Name]
	seen := known && was.Created.Equal(info.Created)
	is := window{Created: info.Created, Configured: info.Config.Duplicates, at: time.Now(), saved: was.saved, current: true}
	switch {
	case seen:
		is.Effective = min(was.now(), is.Configured)
	case info.State.LastSeq == 0, !known && w.trusting:
		is.Effective = is.Configured
	}
	isNew := !seen || is.Configured != was.Configured
	if isNew || is.Effective != is.saved && (is.Effective == is.Configured || is.Effective >= is.saved+checkInterval) {
		is.saved = is.Effective
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
	w.known[info.Config.Name] = is
}

// run writes the file in its own goroutine: a disk that hangs must not delay the checks.
func (w *windows) run(ctx context.Context) {
	defer close(w.stopped)
	for {
		select {
		case <-ctx.Done():
			w.write()
			return
		case <-w.changed:
			w.write()
		}
	}
}

func (w *windows) read() error {
	if w.file == "" {
		return nil
	}
	content, err := filewatch.ReadFile(w.file, 1<<20)
	if err == nil {
		err = json.Unmarshal(content, &w.known)
	}
	for name, known := range w.known {
		known.at, known.saved = time.Now(), known.Effective
		w.known[name] = known
	}
	return err
}

// write replaces the file and returns once the new one is on disk.
func (w *windows) write() {
	if w.file == "" || w.readOnly {
		return
	}
	w.mu.Lock()
	known := maps.Clone(w.known)
	w.mu.Unlock()
	for name, one := range known {
		one.Effective = one.now()
		known[name] = one
	}
	content, err := json.MarshalIndent(known, "", "  ")
	if err == nil {
		err = filewatch.ReplaceFile(w.file, append(content, '\n'))
	}
	if err != nil {
		w.log.Error("stream-windows.json can't be written: the next start will look up more spooled records than it needs to", zap.Error(err))
	}
}
