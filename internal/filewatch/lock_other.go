//go:build !unix

package filewatch

import (
	"io"
	"os"
)

// LockDir makes the directory.
func LockDir(dir, _ string) (io.Closer, error) {
	return io.NopCloser(nil), os.MkdirAll(dir, 0o700)
}
