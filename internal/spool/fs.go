package spool

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/ade15e70/webhook-bridge/internal/fileio"
)

// disk is the part of a file system that the spool uses. Tests replace it with one that fails on demand
// and forgets what wasn't synced.
type disk interface {
	lock(dir string) (io.Closer, error) // creates the directory
	open(path string, flag int) (file, error)
	list(dir string) ([]string, error) // sorted
	rename(from, to string) error
	remove(path string) error
	syncDir(dir string) error // makes changes to the directory's names durable
	free(dir string) int64
}

type file interface {
	io.ReaderAt
	io.WriterAt
	io.Seeker
	io.Closer
	Truncate(size int64) error
	Sync() error
}

type osDisk struct{}

func (osDisk) lock(dir string) (io.Closer, error) {
	lock, err := fileio.LockDir(dir, lockName)
	if err != nil {
		return nil, err
	}
	// The directory and its parent, DATA_DIR, may be new, so their names must be made durable too. If we
	// may not read the directory that has such a name, we can't have created the name.
	parent := filepath.Dir(filepath.Clean(dir))
	for _, in := range []string{parent, filepath.Dir(parent)} {
		if err := fileio.SyncDir(in); err != nil && !errors.Is(err, os.ErrPermission) {
			_ = lock.Close()
			return nil, err
		}
	}
	return lock, nil
}

func (osDisk) open(path string, flag int) (file, error) { return os.OpenFile(path, flag, 0o600) }

func (osDisk) list(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (osDisk) rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) remove(path string) error     { return os.Remove(path) }
func (osDisk) syncDir(dir string) error     { return fileio.SyncDir(dir) }

// free returns how many bytes of the directory's disk we may use. On a read-only disk only the directory's
// parent may exist.
func (osDisk) free(dir string) int64 {
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if n, err := freeBytes(path); err == nil {
			return n
		}
	}
	return math.MaxInt64 / 2 // the next write will tell
}
