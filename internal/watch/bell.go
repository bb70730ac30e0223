package watch

import (
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"
)

// bell rings when something happens near the files. What it was doesn't matter, nor does it if some of
// it is lost: files are looked at again in any case.
type bell struct {
	watcher *fsnotify.Watcher
	done    chan struct{}
}

func newBell(ring chan<- struct{}) (*bell, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	b := &bell{watcher: watcher, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		for open := true; open; {
			select {
			case _, open = <-watcher.Events:
			case _, open = <-watcher.Errors: // events were lost
			}
			select {
			case ring <- struct{}{}:
			default: // it rings already
			}
		}
	}()
	return b, nil
}

// hang watches the directories where the files are now: that of each path, in which it may be renamed
// over or its link be swapped, and that of the file which it leads to, which may be written in place.
// Directories that were removed and made again are watched anew.
func (b *bell) hang(views []*view) {
	var wanted []string
	for _, v := range views {
		for _, path := range v.Paths {
			wanted = append(wanted, filepath.Dir(path))
			if target, err := filepath.EvalSymlinks(path); err == nil {
				wanted = append(wanted, filepath.Dir(target))
			}
		}
	}
	for _, dir := range b.watcher.WatchList() {
		if !slices.Contains(wanted, dir) {
			_ = b.watcher.Remove(dir) // gone by itself, perhaps
		}
	}
	for _, dir := range wanted {
		_ = b.watcher.Add(dir) // what can't be watched is polled
	}
}

func (b *bell) close() {
	_ = b.watcher.Close()
	<-b.done
}
