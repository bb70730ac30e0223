package spool

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// memory is a disk that knows which of its contents are durable, and does what a test wants at each
// call.
type memory struct {
	mu       sync.Mutex
	live     map[string]*inode // by path
	synced   map[string]*inode // the names that outlive a loss of power
	calls    []call
	fails    func(c call) error // nil: nothing does
	violated []string           // calls that must not be made
	full     atomic.Bool        // free returns 0, but calls succeed
	opened   atomic.Int64       // files that are open
	// Reads wait until it is closed, except those of the mark; nil: none waits.
	slow  atomic.Pointer[chan struct{}]
	waits atomic.Int64 // reads that have waited
}

// inode is a file, whatever its name.
type inode struct {
	live, synced []byte
	number       int
	isMark       bool
	failed       bool   // a sync or a write of it failed: this process may write nothing to it any more
	forgotten    []bool // the bytes that the system shows but won't write, unless they are written again
}

// call is a call of the disk.
type call struct {
	name     string // as the system call's
	inode    int
	path, to string
	offset   int64
	data     []byte
	note     string // not a call, but what the spool's user knows from now on
}

func newMemory() *memory {
	return &memory{live: make(map[string]*inode), synced: make(map[string]*inode)}
}

// do makes a call, unless the test wants it to fail.
func (m *memory) do(c call) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, c)
	var err error
	if m.fails != nil {
		err = m.fails(c)
	}
	i := m.inode(c.inode)
	if i != nil && i.failed && !i.isMark { // a wrong mark does no harm
		m.violated = append(m.violated, fmt.Sprintf("%s of a file of which a call had failed", c.name))
		if c.name == "fsync" && err == nil { // the system has forgotten what it could not write
			return nil
		}
	}
	if err != nil {
		noRoom := isNoSpace(err) && c.name == "pwrite"
		if i != nil && !noRoom {
			i.failed = true
		}
		if c.name == "pwrite" { // some of it was written
			c.data = c.data[:len(c.data)/2]
			m.apply(c)
		}
		if i != nil && i.failed {
			i.forget()
		}
		return err
	}
	m.apply(c)
	return nil
}

func (m *memory) inode(number int) *inode {
	for _, names := range []map[string]*inode{m.live, m.synced} {
		for _, i := range names {
			if i.number == number {
				return i
			}
		}
	}
	return nil
}

// forget makes the system forget what it has not synced.
func (i *inode) forget() {
	i.forgotten = make([]bool, len(i.live))
	for at, b := range i.live {
		i.forgotten[at] = at >= len(i.synced) || i.synced[at] != b
	}
}

// afterSync returns what a sync makes durable.
func (i *inode) afterSync() []byte {
	if i.forgotten == nil {
		return i.live
	}
	b := bytes.Clone(i.live)
	for at := range b {
		if at < len(i.forgotten) && i.forgotten[at] {
			b[at] = 0
			if at < len(i.synced) {
				b[at] = i.synced[at]
			}
		}
	}
	return b
}

// apply makes the call's change.
func (m *memory) apply(c call) {
	switch i := m.inode(c.inode); c.name {
	case "creat":
		m.live[c.path] = &inode{number: c.inode, isMark: filepath.Base(c.path) == markName}
	case "pwrite":
		if i == nil { // it has no name any more
			return
		}
		if need := c.offset + int64(len(c.data)); int64(len(i.live)) < need {
			i.live = append(i.live, make([]byte, need-int64(len(i.live)))...)
		}
		i.live = bytes.Clone(i.live)
		copy(i.live[c.offset:], c.data)
		if c.offset < int64(len(i.forgotten)) {
			clear(i.forgotten[c.offset:min(int64(len(i.forgotten)), c.offset+int64(len(c.data)))])
		}
	case "ftruncate":
		if i != nil {
			i.live = bytes.Clone(i.live[:c.offset])
		}
	case "fsync":
		if i != nil {
			i.synced = i.afterSync()
		}
	case "rename":
		m.live[c.to] = m.live[c.path]
		delete(m.live, c.path)
	case "unlink":
		delete(m.live, c.path)
	case "fsyncdir":
		m.synced = maps.Clone(m.live)
	}
}

// clone returns a disk with the same content.
func (m *memory) clone() *memory {
	c := newMemory()
	by := make(map[*inode]*inode)
	copied := func(names map[string]*inode) map[string]*inode {
		all := make(map[string]*inode)
		for path, i := range names {
			if by[i] == nil {
				by[i] = &inode{live: i.live, synced: i.synced, number: i.number, isMark: i.isMark, forgotten: slices.Clone(i.forgotten)}
			}
			all[path] = by[i]
		}
		return all
	}
	c.live, c.synced = copied(m.live), copied(m.synced)
	return c
}

// afterPowerLoss returns the disk as it is after a loss of power: without anything unsynced, or if
// random is given with some unsynced sectors and names.
func (m *memory) afterPowerLoss(random *rand.Rand) *memory {
	left := newMemory()
	names := maps.Clone(m.synced)
	if random != nil {
		for _, path := range slices.Sorted(maps.Keys(m.live)) {
			if random.IntN(2) == 0 {
				names[path] = m.live[path]
			}
		}
		for _, path := range slices.Sorted(maps.Keys(names)) {
			if m.live[path] == nil && random.IntN(2) == 0 {
				delete(names, path)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(names)) {
		i := names[path]
		data := bytes.Clone(i.synced)
		if random != nil && random.IntN(3) > 0 {
			data = append(data, make([]byte, max(0, len(i.live)-len(data)))...)
			for at := 0; at < len(i.live); at += 512 {
				if sector := i.live[at:min(at+512, len(i.live))]; random.IntN(2) == 0 {
					copy(data[at:], sector)
				}
			}
		}
		j := &inode{live: data, synced: data, number: i.number, isMark: i.isMark}
		left.live[path], left.synced[path] = j, j
	}
	return left
}

// lock is called once in a process. The next one may write to a file of which a call had failed.
func (m *memory) lock(string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, names := range []map[string]*inode{m.live, m.synced} {
		for _, i := range names {
			i.failed = false
		}
	}
	return io.NopCloser(nil), nil
}

func (m *memory) open(path string, flag int) (file, error) {
	m.mu.Lock()
	i := m.live[path]
	number := int(inodes.Add(1))
	m.mu.Unlock()
	if err := m.do(call{name: "open", path: path}); err != nil {
		return nil, err
	}
	switch {
	case i == nil && flag&os.O_CREATE == 0:
		return nil, os.ErrNotExist
	case i == nil:
		if err := m.do(call{name: "creat", path: path, inode: number}); err != nil {
			return nil, err
		}
	case flag&os.O_EXCL != 0:
		return nil, os.ErrExist
	case flag&os.O_TRUNC != 0:
		if err := m.do(call{name: "ftruncate", inode: i.number}); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opened.Add(1)
	return &memoryFile{m: m, i: m.live[path]}, nil
}

func (m *memory) list(dir string) (names []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for path := range m.live {
		names = append(names, filepath.Base(path))
	}
	slices.Sort(names)
	return append(names, lockName), nil
}

func (m *memory) rename(from, to string) error { return m.do(call{name: "rename", path: from, to: to}) }
func (m *memory) remove(path string) error     { return m.do(call{name: "unlink", path: path}) }
func (m *memory) syncDir(dir string) error     { return m.do(call{name: "fsyncdir", path: dir}) }
func (m *memory) free(string) int64 {
	if m.full.Load() {
		return 0
	}
	return 1 << 40
}

// note records what the user of the spool knows from now on.
func (m *memory) note(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, call{note: fmt.Sprintf(format, args...)})
}

func (m *memory) notes(word string) map[string]bool {
	all := make(map[string]bool)
	for _, c := range m.calls {
		if id, ok := strings.CutPrefix(c.note, word+" "); ok {
			all[id] = true
		}
	}
	return all
}

type memoryFile struct {
	m      *memory
	i      *inode
	closed bool
}

func (f *memoryFile) ReadAt(b []byte, offset int64) (int, error) {
	if slow := f.m.slow.Load(); slow != nil && len(b) != markBytes {
		f.m.waits.Add(1)
		<-*slow
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return 0, os.ErrClosed
	}
	if f.m.fails != nil {
		if err := f.m.fails(call{name: "pread", inode: f.i.number, offset: offset, data: b}); err != nil {
			return 0, err
		}
	}
	return bytes.NewReader(f.i.live).ReadAt(b, offset)
}

func (f *memoryFile) WriteAt(b []byte, offset int64) (int, error) {
	if err := f.m.do(call{name: "pwrite", inode: f.i.number, offset: offset, data: bytes.Clone(b)}); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (f *memoryFile) Truncate(size int64) error {
	return f.m.do(call{name: "ftruncate", inode: f.i.number, offset: size})
}

func (f *memoryFile) Sync() error { return f.m.do(call{name: "fsync", inode: f.i.number}) }

// Seek returns the size: it is only called to find it.
func (f *memoryFile) Seek(int64, int) (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return int64(len(f.i.live)), nil
}

func (f *memoryFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return os.ErrClosed
	}
	f.closed = true
	f.m.opened.Add(-1)
	return nil
}

var inodes atomicCounter

var errIO = &os.PathError{Op: "call", Path: "memory", Err: syscall.EIO}
