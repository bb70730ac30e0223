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

// windows holds how far back each stream recognises an id: its effective duplicate window.
//
// A stream whose window is raised doesn't recall what it has forgotten: nats-server drops ids by the
// window of the moment (server/stream.go, purgeMsgIds) and reads them again from its messages only
// when it starts (rebuildDedupe), of which nobody is told. So the effective window is the least of the
// configured one and of the effective one at an earlier look plus the time since. That time is measured
// by this process alone: while it doesn't run nothing is added, since only a wall clock could tell how
// much.
//
// A stream that this directory has never seen is taken at its word where its spool is empty: that holds nothing
// older than the process, whose ids the stream knows in any case, and another instance's older delivery of the
// same event would be stored twice as well if it came directly (ADR 9). Otherwise, or where the stream was made
// anew, its window begins with nothing, unless it has never held a message that it could have forgotten.
type windows struct {
	file     string // what survives a restart; "": nothing does
	readOnly bool
	trusting bool // a stream that was never seen is taken at its word
	log      *zap.Logger

	mu      sync.Mutex
	known   map[string]window // by the stream's name
	changed chan struct{}     // the file is to be written; holds at most one
	stop    context.CancelFunc
	stopped chan struct{}
}

// window is one stream's.
type window struct {
	Created    time.Time     `json:"created"` // a stream that was made anew is another one
	Configured time.Duration `json:"configured"`
	Effective  time.Duration `json:"effective"` // at that moment:
	at         time.Time
	saved      time.Duration // the effective window that the file has
	current    bool          // it was seen by this process
}

func (w window) now() time.Duration { return min(w.Configured, w.Effective+time.Since(w.at)) }

func openWindows(file string, readOnly, trusting bool, log *zap.Logger) *windows {
	w := &windows{file: file, readOnly: readOnly, trusting: trusting, log: log, known: make(map[string]window), changed: make(chan struct{}, 1), stopped: make(chan struct{})}
	if err := w.read(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.trusting = false
		log.Warn("what was known of the streams' duplicate windows can't be read: records that have waited are looked up first",
			zap.Error(err))
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	go w.run(ctx)
	return w
}

// of returns the stream's effective window; 0 while it isn't known.
func (w *windows) of(stream string) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known := w.known[stream]; known.current {
		return known.now()
	}
	return 0
}

// observe takes note of what a server has just said of a stream.
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

// run writes the file: a disk that hangs must not hold up the checks of the streams.
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

// write replaces the file, and returns once the new one is on disk.
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
		w.log.Error("the streams' duplicate windows can't be kept for the next start, which will look up more records than need be", zap.Error(err))
	}
}
