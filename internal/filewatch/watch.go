// Package filewatch reads, locks and watches files for the bridge.
//
// A [Watcher] reports changes to the contents of files, however they were made: written in place, renamed
// over, removed and created again, or swapped by a symbolic link, as Kubernetes does it. It compares
// contents, not times or inodes. The kernel's events only trigger a look; a slow poll looks as well, since
// network file systems and other sides of a mount send no events. ADR 11 has the reasons.
//
// [ReadFile] reads a small regular file, never more than a limit. [LockDir] keeps a directory to one
// process at a time.
package filewatch

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// Settle is how long files must stay as they are before they count: a file that is truncated and
	// then written isn't to be taken half-way. A writer that pauses for longer can't be told from one
	// that has ended.
	Settle = time.Second
	// Poll is how often files are looked at where no event asks for it.
	Poll = 10 * time.Second
	// calm is how long after an event to look: many come together.
	calm = 20 * time.Millisecond
)

// Files are one or several that have a meaning together.
type Files struct {
	Paths []string
	Limit int64 // of each, in bytes; a larger file counts as unreadable
	// Changed is told what the files hold, in the order of Paths, or why one of them can't be read. It
	// is called once at the beginning, and then each time that this has become something else and
	// has stayed so for Settle; never twice in a row with the same.
	Changed func(contents [][]byte, err error)
}

// Watcher watches files until it is closed.
type Watcher struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// Start returns a watcher of all the files. Its calls of Changed come one after the other. Where the
// kernel has no events to give it polls, and says so in the log.
func Start(files []Files, log *zap.Logger) *Watcher { return start(files, log, newNotifier) }

func start(files []Files, log *zap.Logger, newNotifier func(ring chan<- struct{}) (*notifier, error)) *Watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watcher{cancel: cancel}
	loop := newLoop(files, Poll)
	var err error
	if loop.notifier, err = newNotifier(loop.ring); err != nil {
		log.Warn("no events of the file system: changes of files are noticed by polling alone", zap.Duration("every", Poll), zap.Error(err))
	}
	w.done.Go(func() { loop.run(ctx) })
	return w
}

// Close ends the watching; Changed isn't called any more once it returns.
func (w *Watcher) Close() {
	w.cancel()
	w.done.Wait()
}

// loop looks at files when it is time to.
type loop struct {
	views    []*view
	poll     time.Duration
	ring     chan struct{} // somebody has rung: something happened near the files
	notifier *notifier     // nil: polling alone
}

func newLoop(files []Files, poll time.Duration) *loop {
	l := &loop{poll: poll, ring: make(chan struct{}, 1)}
	for _, f := range files {
		l.views = append(l.views, &view{Files: f})
	}
	return l
}

func (l *loop) run(ctx context.Context) {
	if l.notifier != nil {
		defer l.notifier.close()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.ring:
			if soon := time.Now().Add(calm); soon.Before(next) {
				next = soon
				timer.Reset(calm)
			}
			continue
		case <-timer.C:
		}
		// Before looking: what happens after the look then rings.
		if l.notifier != nil {
			l.notifier.watch(l.views)
		}
		wait := l.poll
		for _, v := range l.views {
			wait = min(wait, v.look(time.Now()))
		}
		next = time.Now().Add(wait)
		timer.Reset(wait)
	}
}
