package spool

import (
	"sync"
	"sync/atomic"
)

type atomicCounter = atomic.Int64

func work(workers, n int, f func()) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for next.Add(1) <= int64(n) {
				f()
			}
		})
	}
	wg.Wait()
}
