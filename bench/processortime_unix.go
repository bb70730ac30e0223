//go:build unix

package main

import (
	"syscall"
	"time"
)

// processorTime returns how long this process has used a processor.
func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // of these arguments: can't be
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
