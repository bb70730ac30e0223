package spool

import (
	"math"

	"golang.org/x/sys/windows"
)

// freeBytes returns how much the directory's disk has free for us.
func freeBytes(dir string) int64 {
	var free uint64
	path, err := windows.UTF16PtrFromString(dir)
	if err == nil {
		err = windows.GetDiskFreeSpaceEx(path, &free, nil, nil)
	}
	if err != nil {
		return math.MaxInt64 / 2 // the next write will tell
	}
	return int64(min(free, math.MaxInt64))
}
