package spool

import (
	"math"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// free returns how much the directory's disk has free for us. On a read-only disk the directory may
// not exist, only its parent.
func (osDisk) free(dir string) int64 {
	for _, path := range []string{dir, filepath.Dir(dir)} {
		var bytes uint64
		name, err := windows.UTF16PtrFromString(path)
		if err == nil && windows.GetDiskFreeSpaceEx(name, &bytes, nil, nil) == nil {
			return int64(min(bytes, math.MaxInt64))
		}
	}
	return math.MaxInt64 / 2 // the next write will tell
}
