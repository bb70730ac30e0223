//go:build unix

package spool

import (
	"math"

	"golang.org/x/sys/unix"
)

// free returns how much the directory's disk has free for us.
func (osDisk) free(dir string) int64 {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return math.MaxInt64 / 2 // the next write will tell
	}
	return int64(stat.Bavail) * int64(stat.Bsize) //nolint:unconvert // the types differ between systems
}
