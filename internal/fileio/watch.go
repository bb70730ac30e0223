// Package fileio reads, replaces, locks and watches files.
//
// [Watch] reports changes to the contents of files, however somebody makes them: in place, by renaming, by
// removing and creating the file again, or with a symbolic link, as Kubernetes does. It reads the files
// twice a second and compares contents, not times or inodes. ADR 11 has the reasons.
//
// [Read] reads a small regular file, up to a limit. [Replace] writes one durably.
// [LockDir] lets only one process use a directory.
package fileio

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"
)

const (
	// poll is the interval at which files are read.
	poll = 500 * time.Millisecond
	// settle is how long contents must stay the same before they are reported, so that no file is
	// reported while somebody writes it. A writer that pauses for longer seems to have finished.
	settle = time.Second
)

// Set holds files that are reported together, such as a certificate and its key.
type Set struct {
	Paths []string
	Limit int64 // of each file, in bytes; a larger one counts as unreadable
	// Changed receives the contents, in the order of Paths, or why a file can't be read. It is called at
	// the start and then after each change that has settled, never twice in a row with the same contents.
	Changed func(contents [][]byte, err error)
}

// Watch watches all the files until the context ends. Calls of Changed don't overlap.
func Watch(ctx context.Context, sets []Set) {
	views := make([]view, len(sets))
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		for i := range sets {
			views[i].look(&sets[i])
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// view is the known state of a set of files. It has only hashes, because the files may hold secrets: of the
// contents, or of the error if a file can't be read.
type view struct {
	seen     [sha256.Size]byte // at the last look
	since    time.Time         // when that state was seen first
	reported [sha256.Size]byte // the last reported state; zero: none yet
}

// look reads the files and reports a change that has settled.
func (v *view) look(f *Set) {
	contents, err := f.read()
	switch current := sha256.Sum256(fmt.Appendf(nil, "%q %v", contents, err)); {
	case current != v.seen:
		v.seen, v.since = current, time.Now()
	case current != v.reported && time.Since(v.since) >= settle:
		v.reported = current
		f.Changed(contents, err)
	}
}

func (f *Set) read() ([][]byte, error) {
	contents := make([][]byte, len(f.Paths))
	for i, path := range f.Paths {
		var err error
		if contents[i], err = Read(path, f.Limit); err != nil {
			return nil, err
		}
	}
	return contents, nil
}
