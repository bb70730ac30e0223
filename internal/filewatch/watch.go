// Package filewatch reads, locks and watches files for the bridge.
//
// A [Watcher] reports changes to the contents of files, however they were made: written in place,
// renamed over, removed and created again, or swapped by a symbolic link, as Kubernetes does it. It
// compares contents, not times or inodes. The kernel's events only trigger a look; a slow poll
// looks as well, since network file systems and other sides of a mount send no events. ADR 11 has
// the reasons.
//
// [ReadFile] reads a small regular file, never more than a limit. [LockDir] keeps a directory to
// one process at a time.
package filewatch

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// Settle is how long contents must stay the same before they are reported: a file that is
	// truncated and then written must not be read half-way. A writer that pauses for longer can't
	// be told from one that has finished.
	Settle = time.Second
	// Poll is the interval at which files are read without an event.
	Poll = 10 * time.Second
	// calm is the delay between an event and the look: events come in bursts.
	calm = 20 * time.Millisecond
)

// Files are files that are reported together, such as a certificate and its key.
type Files struct {
	Paths []string
	Limit int64 // of each, in bytes; a larger file counts as unreadable
	// Changed receives the contents, in the order of Paths, or why a file can't be read. It is
	// called once at the start and then after each change that lasted for Settle, never twice in a
	// row with the same contents.
	Changed func(contents [][]byte, err error)
}

// Watcher watches files until it is closed.
type Watcher struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// Start watches all the files. Calls of Changed don't overlap. Where the kernel gives no events it
// polls and logs that.
func Start(files []Files, log *zap.Logger) *Watcher { return start(files, log, newNotifier) }

func start(files []Files, log *zap.Logger, newNotifier func(signal chan<- struct{}) (*notifier, error)) *Watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watcher{cancel: cancel}
	loop := newLoop(files, Poll)
	var err error
	if loop.notifier, err = newNotifier(loop.signal); err != nil {
		log.Warn("the kernel gives no file events (fs.inotify.max_user_instances?): changes of files are noticed by polling", zap.Duration("every", Poll), zap.Error(err))
	}
	w.done.Go(func() { loop.run(ctx) })
	return w
}

// Close stops watching. Changed isn't called after it returns.
func (w *Watcher) Close() {
	w.cancel()
	w.done.Wait()
}

// loop reads the files when it is time to.
type loop struct {
	views    []*view
	poll     time.Duration
	signal   chan struct{} // something happened in the files' directories
	notifier *notifier     // nil: polling alone
}

func newLoop(files []Files, poll time.Duration) *loop {
	l := &loop{poll: poll, signal: make(chan struct{}, 1)}
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
		case <-l.signal:
			if soon := time.Now().Add(calm); soon.Before(next) {
				next = soon
				timer.Reset(calm)
			}
			continue
		case <-timer.C:
		}
		// Before looking, so that a change after the look sends a signal.
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
