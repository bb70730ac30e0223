package spool

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"pgregory.net/rapid"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// faults are the ways in which the disk of a life fails.
type faults struct {
	next    string // so many of the next calls with this name fail
	left    int
	err     error
	broken  map[int]string // by file: the calls that fail
	misread bool           // a read has failed, and may succeed at another time
	// doubtful are acknowledged records that a recovery couldn't read, with their files. If the files keep
	// their names, the next process may be able to read them.
	doubtful map[string]map[int]bool
}

// fails returns how a call of the disk fails.
func (l *life) fails(c call) (err error) {
	if l.callsLeft--; l.callsLeft == 0 {
		l.cut = l.disk.clone()
	}
	switch {
	case c.name == l.next && l.left > 0:
		l.left--
		err = l.err
	case slices.Contains(strings.Fields(l.broken[c.inode]), c.name):
		err = errIO
	}
	l.isFaulty = l.isFaulty || err != nil
	if err != nil && c.name == "pread" {
		l.misread = true
		if l.f == nil || l.f.recovering.Load() {
			l.doubt(c.inode)
		}
	}
	return err
}

// in returns the ids of all records in a file.
func (l *life) in(file int) (ids []string) {
	for path, i := range l.disk.live {
		if i.number == file {
			for _, r := range recordsIn(path, i) {
				ids = append(ids, r.ID)
			}
		}
	}
	return ids
}

// doubt notes that the process may not be able to read a file's records.
func (l *life) doubt(file int) {
	for _, id := range l.in(file) {
		if l.owed[id] && l.doubtful[id] == nil {
			l.doubtful[id] = make(map[int]bool)
		}
		if delete(l.owed, id); l.doubtful[id] != nil {
			l.doubtful[id][file] = true
		}
	}
}

// trust notes which records a next process can read again.
func (l *life) trust(left *memory) {
	isThere := make(map[int]bool)
	for path, i := range left.live {
		isThere[i.number] = !strings.HasSuffix(path, damagedSuffix)
	}
	for id, files := range l.doubtful {
		isLost := false
		for file := range files {
			isLost = isLost || !isThere[file]
		}
		l.owed[id] = l.owed[id] || !isLost
	}
	maps.DeleteFunc(l.owed, func(_ string, isOwed bool) bool { return !isOwed })
	clear(l.doubtful)
}

// fail makes the disk fail, or work again.
func (l *life) fail(t *rapid.T) {
	switch rapid.SampledFrom([]string{"some calls", "calls of a file", "nothing"}).Draw(t, "what fails") {
	case "some calls":
		l.next = rapid.SampledFrom([]string{"fsync", "pwrite", "fsyncdir", "unlink", "creat", "pread", "open", "ftruncate", "rename"}).Draw(t, "call")
		l.left = rapid.IntRange(1, 9).Draw(t, "calls")
		l.err = rapid.SampledFrom([]error{errIO, syscall.ENOSPC}).Draw(t, "error")
	case "calls of a file":
		if _, i := l.file(t); i != nil {
			l.broken[i.number] = rapid.SampledFrom([]string{"fsync", "pwrite", "fsync pwrite", "pread"}).Draw(t, "calls")
		}
	default:
		l.heal()
		signal(l.f.wake) // for the race detector: a timer alone orders nothing
		time.Sleep(tick)
	}
}

func (l *life) heal() {
	l.left = 0
	clear(l.broken)
}

func (l *life) file(t *rapid.T) (path string, i *inode) {
	if len(l.disk.live) == 0 {
		return "", nil
	}
	path = rapid.SampledFrom(slices.Sorted(maps.Keys(l.disk.live))).Draw(t, "file")
	return path, l.disk.live[path]
}

// damage changes a byte of a file, and has it read. Until then a message may count as a copy of a damaged one.
func (l *life) damage(t *rapid.T) {
	if !l.f.recovering.Load() {
		l.change(t)
		l.slowDown(t)
		l.f.recoverAgain()
		l.wait()
	}
}

func (l *life) change(t *rapid.T) {
	_, i := l.file(t)
	if i == nil || len(i.synced) == 0 {
		return
	}
	l.isFaulty = true
	for _, id := range l.in(i.number) {
		delete(l.owed, id)
		delete(l.doubtful, id)
	}
	at := rapid.IntRange(0, len(i.synced)-1).Draw(t, "byte")
	for _, b := range []*[]byte{&i.live, &i.synced} {
		if at < len(*b) {
			*b = bytes.Clone(*b)
			(*b)[at] ^= 1
		}
	}
}

// refuse makes a write fail because it can't be synced, and kills the process. The next one is shown what
// was written, and perhaps it can't sync that either. Then the message comes again.
func (l *life) refuse(t *rapid.T) {
	isAside, journal := rapid.Bool().Draw(t, "set aside"), publish.Event.String()
	l.add(t, "a", 1)
	if isAside {
		journal = journalNames[setAside]
		l.settleAll(t, false)
		l.add(t, "b", 1)
	}
	l.next, l.left, l.err = "fsync", 2, errIO
	if isAside {
		l.settleAll(t, false)
	} else {
		l.add(t, "b", 1)
	}
	l.left = 0
	stays := rapid.Bool().Draw(t, "stays")
	for path, i := range l.disk.live {
		if stays && strings.Contains(path, journal) {
			l.broken[i.number] = "fsync"
		}
	}
	l.endAs(t, "killed", l.disk)
	if rapid.Bool().Draw(t, "delivered") {
		l.settleAll(t, true)
	}
	l.add(t, "b", 2)
}
