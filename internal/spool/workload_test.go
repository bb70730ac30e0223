//go:build strace

package spool

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// TestWorkload runs under strace: writers append their records in order, and one goroutine for each
// kind delivers. It prints "kept" after a record is acknowledged, and "settling" or "setting aside"
// before the spool may forget it. Without strace no call may fail.
func TestWorkload(t *testing.T) {
	w := workload{
		dir: os.Getenv("SPOOL_DIR"), writers: number("SPOOL_WRITERS", 8), records: number("SPOOL_RECORDS", 40),
		size: number("SPOOL_SIZE", 300), first: number("SPOOL_FIRST", 0),
		deliver: os.Getenv("SPOOL_DELIVER") != "no",
	}
	faults := os.Getenv("SPOOL_FAULTS") != ""
	if w.dir == "" {
		w.dir = t.TempDir()
	}
	log := zap.NewNop()
	if faults {
		log = zap.NewExample()
	}
	s, err := Open(Config{Dir: w.dir, MaxBytes: 1 << 30, Log: log, segmentSize: int64(number("SPOOL_SEGMENT", 4000))})
	expect.NoError(t, err)
	refused := w.run(s)
	if os.Getenv("SPOOL_WAIT") != "" { // until the files that failed are looked at
		time.Sleep(2 * tick)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	expect.NoError(t, s.Close(ctx))
	say("end")
	if refused > 0 && !faults {
		t.Errorf("%d refused", refused)
	}
}

// say prints without a buffer, since the process may be killed.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stdout, format+"\n", args...)
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

type workload struct {
	dir                           string
	writers, records, size, first int
	deliver                       bool
}

// record returns a writer's record with contents that depend on its id.
func (w *workload) record(writer, n int) publish.Message {
	id := fmt.Sprintf("%d-%d", writer, n)
	size := w.size
	if n%4 == 3 {
		size *= 40
	}
	m := long(id, bytes.Repeat([]byte(id), 1+size/len(id)))
	if writer%4 == 3 {
		m.Kind = publish.Quarantined
	}
	return m
}

func (w *workload) run(s *Spool) (refused int64) {
	var failures atomicCounter
	var wg sync.WaitGroup
	for writer := range w.writers {
		wg.Go(func() {
			for n := range w.records / w.writers {
				m := w.record(writer, w.first+n)
				if err := s.Append(context.Background(), m, attempted); err != nil {
					failures.Add(1)
					say("refused %s: %v", m.ID, err)
				} else {
					say("kept %s", m.ID)
				}
			}
		})
	}
	if !w.deliver {
		wg.Wait()
		return failures.Load()
	}
	done := make(chan struct{})
	var deliveries sync.WaitGroup
	for kind := range publish.Kinds {
		deliveries.Go(func() { deliver(s, publish.Kind(kind), done) })
	}
	wg.Wait()
	close(done)
	deliveries.Wait()
	for writer := range w.writers { // what comes last stays
		m := w.record(writer, w.first+1000)
		if err := s.Append(context.Background(), m, attempted); err == nil {
			say("kept %s", m.ID)
		}
	}
	return failures.Load()
}

// deliver settles the kind's records while writers append, and sets about every tenth aside.
func deliver(s *Spool, kind publish.Kind, done <-chan struct{}) {
	for after := uint64(0); ; {
		records, err := s.Next(kind, after, 3, maxBytes)
		if err != nil || len(records) == 0 {
			select {
			case <-s.Changes(kind):
				continue
			case <-done:
				return
			}
		}
		aside := make(map[uint64]string)
		for _, r := range records {
			after = r.Seq
			if strings.HasSuffix(r.ID, "-2") {
				say("setting aside %s", r.ID)
				aside[r.Seq] = "because of " + r.ID
			} else {
				say("settling %s", r.ID)
			}
		}
		if err := s.Settle(kind, withReasons(records, aside)); err != nil {
			after = records[0].Seq - 1 // again
			select {
			case <-time.After(tick / 100):
			case <-done:
				return
			}
		}
	}
}
