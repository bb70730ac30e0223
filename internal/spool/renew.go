package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/dirlock"
	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// renew gives up the file there is and puts what can be read of it into a new one. why is what is wrong
// with it: a write that failed, or damage.
func (s *Spool) renew(why error) (err error) {
	if s.lock == nil {
		if s.lock, err = dirlock.Lock(s.config.Dir, lockName); err != nil {
			return err
		}
	}
	if old := s.swap(nil); old != nil {
		old.close()
	}
	w, err := salvage(filepath.Join(s.config.Dir, fileName))
	if errors.Is(err, os.ErrNotExist) {
		if err := s.create(); err != nil {
			return fmt.Errorf("making a new file: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("recovering: %w", err)
	}
	defer w.close()
	keep, lost := "", s.missing(w)
	if errors.Is(why, errDamaged) || lost > 0 {
		keep = damagedName + time.Now().UTC().Format("20060102T150405.000000000")
	}
	found := inventory{next: 1, delivered: w.delivered, ids: make(map[id]struct{}, len(w.records))}
	f, err := rewrite(s.config.Dir, keep, w.delivered, func(put func(*Record, bool) error) error {
		return w.each(func(r *Record, aside bool) error {
			found.add(r, aside, int(r.size()))
			return put(r, aside)
		})
	})
	if err != nil {
		return fmt.Errorf("writing a new file: %w", err)
	}
	for _, delivered := range w.delivered {
		found.next = max(found.next, delivered+1)
	}
	s.use(f, found)
	s.tell(why, keep, lost, found)
	return nil
}

// swap changes the file in use and returns the one before.
func (s *Spool) swap(f *file) (old *file) {
	s.files.Lock()
	defer s.files.Unlock()
	old, s.file = s.file, f
	return old
}

// tell says what has happened to the file.
func (s *Spool) tell(why error, keep string, lost int, found inventory) {
	fields := []zap.Field{
		zap.String("directory", s.config.Dir), zap.NamedError("cause", why), zap.Int64("events", found.queued[durable.Event]),
		zap.Int64("quarantined", found.queued[durable.Quarantined]), zap.Int64("set_aside", found.aside),
	}
	if keep == "" {
		s.config.Log.Warn("spool's file was given up, and all it held is in a new one", fields...)
		return
	}
	fields = append(fields, zap.String("damaged", filepath.Join(s.config.Dir, keep)), zap.Int("known_lost", lost))
	s.config.Log.Error("spool's file is damaged: it was set aside, and what can be read of it is in a new one; keep it for whoever looks into what is lost", fields...)
}

// missing is how many records should be there and aren't.
func (s *Spool) missing(w *wreck) (lost int) {
	readable := make(map[id]struct{}, len(w.records))
	for _, r := range w.records {
		readable[r.id] = struct{}{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.kept {
		if _, ok := readable[id]; !ok {
			lost++
		}
	}
	return lost
}

// shrink replaces a large file in which nothing is left: bbolt never gives space back. Where it can't,
// the large one stays in use.
func (s *Spool) shrink() {
	if s.aside.Load() > 0 || s.fileSize() < shrinkAt {
		return
	}
	var delivered [durable.Kinds]uint64
	for kind := range s.queued {
		if s.queued[kind].Load() > 0 {
			return
		}
		delivered[kind] = s.next - 1
	}
	f, err := rewrite(s.config.Dir, "", delivered, func(func(*Record, bool) error) error { return nil })
	if err != nil {
		s.config.Log.Warn("spool is empty, but its file could not be made small", zap.String("directory", s.config.Dir), zap.Error(err))
		return
	}
	s.swap(f).close()
}

// isDiskFailure says whether err may go away by itself, or by what is done to the disk. Another error
// is a mistake in the configuration.
func isDiskFailure(err error) bool {
	for _, errno := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
