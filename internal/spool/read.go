package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// Next returns the kind's records with higher numbers than after, oldest first: at most limit records
// and that many bytes, but at least one record. During a recovery it returns none.
func (s *Spool) Next(kind publish.Kind, after uint64, limit int, bytes int64) ([]Record, error) {
	return s.list(s.journals[kind], after, limit, bytes)
}

// SetAside is like Next for the records that are set aside.
func (s *Spool) SetAside(after uint64, limit int) ([]Record, error) {
	return s.list(s.journals[setAside], after, limit, maxBytes/2)
}

func (s *Spool) list(j *journal, after uint64, limit int, bytes int64) ([]Record, error) {
	j.reading.Lock()
	defer j.reading.Unlock()
	s.mu.Lock()
	settled, queued, head, last, recoveries := j.settled, j.queued.Load(), j.head, s.last.Load(), s.recoveries
	isRecovering := s.recovering.Load()
	s.mu.Unlock()
	if isRecovering {
		return nil, nil
	}
	c := &j.read
	// A call that goes on where the last one ended needn't read all before that again.
	if after = max(after, settled); after != c.seq || after == settled {
		c.seek(head)
		c.seq = after
	}
	records := make([]Record, 0, min(int64(limit), max(0, queued)))
	for size := int64(0); len(records) < limit; {
		before := c.seq
		r, err := c.next(j.all())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if errors.Is(err, errDamaged) {
				s.mu.Lock()
				if recoveries == s.recoveries { // else a recovery that has begun since finds the damage
					s.recoverAgain()
				}
				s.mu.Unlock()
			}
			return nil, fmt.Errorf("reading spool: %w", err)
		}
		// A record that is being written may be a copy that isn't dropped yet.
		if size += r.size; r.Seq > last || len(records) > 0 && size > bytes {
			c.position, c.seq = r.at, before
			break
		}
		if s.isDropped(r.Seq) {
			continue
		}
		r.Data, r.recoveries = slices.Clone(r.Data), recoveries
		records = append(records, r)
	}
	if cap(c.buf) > 4*chunk { // a large record's: it may be long until the next read
		c.buf = nil
	}
	if after == settled {
		s.noteFirst(j, settled, queued, recoveries, records)
	}
	return records, nil
}

// noteFirst notes the records at the beginning of the queue, as they were read. queued is how many the queue
// should have.
func (s *Spool) noteFirst(j *journal, settled uint64, queued int64, recoveries int, records []Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case settled != j.settled || recoveries != s.recoveries: // they are outdated
	case len(records) > 0:
		j.oldest = records[0].Arrived
	case queued != 0: // the count is wrong: some records can't be read any more, or can be read again
		s.recoverAgain()
	default: // all that follow are dropped copies
		j.settled, j.head = j.read.seq, j.read.position
		signal(s.wake)
	}
}

func (s *Spool) isDropped(seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped[seq]
}

// Recovery returns the progress of the recovery in bytes, and reports whether one is running.
func (s *Spool) Recovery() (read, all int64, ok bool) {
	return s.bytesRead.Load(), s.bytesToRead.Load(), s.recovering.Load()
}

// Read calls visit with each record in the directory: first those set aside, then those in the queues. It
// changes nothing, and a bridge may be using the directory. Damage is returned apart from other errors.
func Read(dir string, visit func(r *Record) error) (damage, err error) {
	found, err := openJournals(osDisk{}, dir, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("reading spool: %w", err)
	}
	defer found.close()
	err = found.scan(visit)
	return errors.Join(found.damage...), err
}

// Stats is the state of a spool.
type Stats struct {
	Queued    [publish.Kinds]int64     // records that wait
	Oldest    [publish.Kinds]time.Time // arrival of the first one, once Next has returned it
	SetAside  int64                    // records set aside
	Bytes     int64                    // of all records
	FileBytes int64
	FreeBytes int64 // on the disk
	Err       error // why the last write failed, or that it hangs; nil if it succeeded

	IsWritable bool // the last write succeeded, and the disk isn't full
}

// Stats returns the state at the last write, or a second ago. It never waits for the disk.
func (s *Spool) Stats() Stats {
	stats := Stats{SetAside: s.journals[setAside].queued.Load(), FreeBytes: s.free.Load()}
	s.mu.Lock()
	defer s.mu.Unlock()
	for kind := range stats.Queued {
		stats.Bytes += s.bytes[kind].Load()
		stats.Queued[kind] = s.journals[kind].queued.Load()
		stats.Oldest[kind] = s.journals[kind].oldest
	}
	for _, j := range s.journals {
		stats.FileBytes += j.size()
	}
	stats.Err = s.writeError()
	stats.IsWritable = stats.Err == nil && s.checkFree(0, reserve) == nil
	return stats
}
