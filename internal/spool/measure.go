package spool

import (
	"time"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// Stats is the state of a spool.
type Stats struct {
	Queued    [durable.Kinds]int64     // records that wait
	Oldest    [durable.Kinds]time.Time // arrival of the first of them; zero where there is none
	Aside     int64                    // records set aside
	Bytes     int64                    // of all of them
	FileBytes int64
	FreeBytes int64 // on the disk
	Err       error // why the last write failed; nil when it succeeded
}

// Stats returns the state as it was at the last write, or a second ago. It never waits for the disk.
func (s *Spool) Stats() Stats {
	stats := Stats{Aside: s.aside.Load(), FileBytes: s.fileBytes.Load(), FreeBytes: s.free.Load()}
	for kind := range stats.Queued {
		stats.Bytes += s.bytes[kind].Load()
		stats.Queued[kind] = s.queued[kind].Load()
		if oldest := s.oldest[kind].Load(); oldest != 0 {
			stats.Oldest[kind] = time.Unix(0, oldest)
		}
	}
	if err := s.failure.Load(); err != nil {
		stats.Err = *err
	}
	return stats
}

// measure looks at the disk and at the file.
func (s *Spool) measure() {
	s.free.Store(freeBytes(s.config.Dir))
	size, idle := int64(0), int64(0)
	if f := s.file.Load(); f != nil {
		size, idle = f.size(), int64(f.db.Stats().FreePageN)*f.pageSize
	}
	s.fileBytes.Store(size)
	s.idle.Store(idle)
	for kind := range s.oldest {
		oldest := int64(0)
		if s.queued[kind].Load() > 0 {
			if first, err := s.Next(durable.Kind(kind), 0, 1); err == nil && len(first) > 0 {
				oldest = nanos(first[0].Arrived)
			}
		}
		s.oldest[kind].Store(oldest)
	}
}

// size is how large the file is.
func (f *file) size() int64 {
	info, err := f.handle.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}
