//go:build !unix

package natsd

import (
	"io"
	"os"
)

// lockDir makes the directory.
func lockDir(dir string) (io.Closer, error) {
	return io.NopCloser(nil), os.MkdirAll(dir, 0o750)
}
