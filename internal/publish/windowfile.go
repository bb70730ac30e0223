package publish

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/fileio"
)

// windowFile keeps a stream's effective window over a restart. Time in which no process runs isn't
// added: only a wall clock could measure it.
type windowFile struct {
	path   string // "": none
	log    *zap.Logger
	saved  window
	saving chan struct{} // full while the file is written
	failed atomic.Bool   // the last write failed
}

// storedWindow is the content of the file.
type storedWindow struct {
	Created   time.Time     `json:"created"`
	Effective time.Duration `json:"effective"` // in nanoseconds
}

// openWindow reads the window of a stream from the directory; "" has none. If the file can't be
// read, the window grows from 0.
func openWindow(dir, stream string, log *zap.Logger) *windowFile {
	f := &windowFile{log: log, saving: make(chan struct{}, 1)}
	if dir == "" {
		return f
	}
	f.path = filepath.Join(dir, "window-"+stream+".json")
	var stored storedWindow
	content, err := fileio.Read(f.path, 1<<10)
	if err == nil {
		err = json.Unmarshal(content, &stored)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f
	case err != nil:
		log.Warn("the stream's duplicate window of the last run can't be read: until it is known again, spooled records are looked up before they are published",
			zap.String("file", f.path), zap.Error(err))
		stored = storedWindow{Created: time.Unix(0, 0)} // of no stream
	}
	f.saved = window{created: stored.Created, configured: stored.Effective, effective: stored.Effective, at: time.Now()}
	return f
}

// save writes the window if it is another stream's, is lower, has grown by a minute, or could not be
// written. It returns at once: a disk that hangs must not delay the checks.
func (f *windowFile) save(w window) {
	is := w.now()
	grown := is - f.saved.effective
	isSaved := f.saved.created.Equal(w.created) && grown >= 0 && grown < checkInterval && !f.failed.Load()
	if f.path == "" || isSaved {
		return
	}
	select {
	case f.saving <- struct{}{}:
	default: // the disk hangs; the next check tries again
		return
	}
	f.saved = window{created: w.created, effective: is}
	go func() {
		defer func() { <-f.saving }()
		content, err := json.Marshal(storedWindow{Created: w.created, Effective: is})
		if err == nil {
			err = fileio.Replace(f.path, append(content, '\n'))
		}
		f.failed.Store(err != nil)
		if err != nil {
			f.log.Error("the stream's duplicate window can't be written: a later start may not know that it was raised",
				zap.String("file", f.path), zap.Error(err))
		}
	}()
}

// wait waits until the file is written, or the context ends.
func (f *windowFile) wait(ctx context.Context) {
	select {
	case f.saving <- struct{}{}:
		<-f.saving
	case <-ctx.Done():
	}
}
