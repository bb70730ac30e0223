//go:build unix

package fileio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// lock locks both the file and the directory: the file may be removed, and NFS can't lock a directory.
func lock(file *os.File, dir string) (io.Closer, error) {
	held := locks{file}
	if d, err := os.Open(dir); err == nil {
		held = append(held, d)
	}
	for _, f := range held {
		err := error(syscall.EINTR) // FUSE may return it, and then the lock must be tried again
		for errors.Is(err, syscall.EINTR) {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		}
		if errors.Is(err, syscall.EWOULDBLOCK) {
			_ = held.Close()
			return nil, fmt.Errorf("%s is %w", dir, ErrInUse)
		}
	}
	return held, nil
}

type locks []*os.File

func (l locks) Close() (err error) {
	for _, f := range l {
		err = errors.Join(err, f.Close())
	}
	return err
}
