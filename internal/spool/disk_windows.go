package spool

import (
	"math"

	"golang.org/x/sys/windows"
)

// free returns how much the directory's disk has free for us.
func (osDisk) free(dir string) int64 {
	var bytes uint64
	path, err := windows.UTF16PtrFromString(dir)
	if err == nil {
		err = windows.GetDiskFreeSpaceEx(path, &bytes, nil, nil)
	}
	if err != nil {
		return math.MaxInt64 / 2 // the next write will tell
	}
	return int64(min(bytes, math.MaxInt64))
}
