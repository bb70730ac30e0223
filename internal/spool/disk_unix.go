//go:build unix

package spool

import (
	"math"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// free returns how much the directory's disk has free for us. On a read-only disk the directory may
// not exist, only its parent.
func (osDisk) free(dir string) int64 {
	for _, path := range []string{dir, filepath.Dir(dir)} {
		var stat unix.Statfs_t
		if err := unix.Statfs(path, &stat); err == nil {
			return int64(stat.Bavail) * int64(stat.Bsize) //nolint:unconvert // the types differ between systems
		}
	}
	return math.MaxInt64 / 2 // the next write will tell
}
