package fileio

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// ErrInUse means that another process holds the lock.
var ErrInUse = errors.New("in use by another process")

// LockDir creates the directory, which only its owner may use, and locks it and a file in it. The lock is
// held until it is closed or the process ends, in whatever way. The error wraps [ErrInUse] if another
// process holds the lock. It is no error if the file system has no locks.
func LockDir(dir, name string) (io.Closer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return lock(file, dir)
}
