package filewatch

import (
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"
)

// notifier signals that something happened in the files' directories. Which event it was doesn't
// matter, nor do lost events: the files are read again in any case.
type notifier struct {
	watcher *fsnotify.Watcher
	done    chan struct{}
}

func newNotifier(signal chan<- struct{}) (*notifier, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	n := &notifier{watcher: watcher, done: make(chan struct{})}
	go func() {
		defer close(n.done)
		for open := true; open; {
			select {
			case _, open = <-watcher.Events:
			case _, open = <-watcher.Errors: // events were lost
			}
			select {
			case signal <- struct{}{}:
			default: // a signal is pending
			}
		}
	}()
	return n, nil
}

// watch watches the directories where the files are now: that of each path, in which it may be
// renamed over or its link be swapped, and that of the file which it leads to, which may be written
// in place. Directories that were removed and created again are watched again.
func (n *notifier) watch(views []*view) {
	var wanted []string
	for _, v := range views {
		for _, path := range v.Paths {
			wanted = append(wanted, filepath.Dir(path))
			if target, err := filepath.EvalSymlinks(path); err == nil {
				wanted = append(wanted, filepath.Dir(target))
			}
		}
	}
	for _, dir := range n.watcher.WatchList() {
		if !slices.Contains(wanted, dir) {
			_ = n.watcher.Remove(dir) // gone by itself, perhaps
		}
	}
	for _, dir := range wanted {
		_ = n.watcher.Add(dir) // what can't be watched is polled
	}
}

func (n *notifier) close() {
	_ = n.watcher.Close()
	<-n.done
}
