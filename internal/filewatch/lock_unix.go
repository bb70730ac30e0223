//go:build unix

package filewatch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

func lock(file *os.File, dir string) (io.Closer, error) {
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		_ = file.Close()
		return nil, fmt.Errorf("%s is %w", dir, ErrInUse)
	}
	return file, nil
}
