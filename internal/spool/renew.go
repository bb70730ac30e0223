package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/durable"
	"github.com/ade15e70/webhook-bridge/internal/filewatch"
)

// renew gives up the file there is and puts what can be read of it into a new one. why is what is wrong
// with it: a write that failed, or damage.
func (s *Spool) renew(why error) (err error) {
	if s.lock == nil {
		if s.lock, err = filewatch.LockDir(s.config.Dir, lockName); err != nil {
			return err
		}
	}
	path := filepath.Join(s.config.Dir, fileName)
	records := func(put func(*Record, bool) error) error {
		_, err := walk(path, put)
		return err
	}
	before, err := walk(path, ignore)
	isDamaged := errors.Is(err, errDamaged)
	switch {
	case isDamaged:
		if !errors.Is(why, errDamaged) {
			why = fmt.Errorf("%w, and %w", why, err)
		}
		w, err := salvage(path)
		if err != nil {
			return fmt.Errorf("recovering: %w", err)
		}
		defer w.close()
		w.renumber(s.next)
		before.delivered, records = w.delivered, w.each
	case errors.Is(err, os.ErrNotExist):
		lost := s.missing(nil)
		if err := s.create(); err != nil {
			return fmt.Errorf("making a new file: %w", err)
		}
		if lost > 0 {
			s.config.Log.Error("spool's file was gone, with records in it that waited: there is a new one, and they are lost unless somebody has the old one",
				zap.String("directory", s.config.Dir), zap.NamedError("cause", why), zap.Int("known_lost", lost))
		}
		return nil
	case err != nil:
		return fmt.Errorf("recovering: %w", err)
	}
	keep := ""
	if isDamaged || errors.Is(why, errDamaged) {
		keep = damagedName + time.Now().UTC().Format("20060102T150405.000000000")
	}
	f, found, err := rewrite(s.config.Dir, keep, before.delivered, records)
	if err != nil {
		return fmt.Errorf("writing a new file: %w", err)
	}
	s.tell(why, keep, s.missing(found.ids), found)
	s.use(f, found)
	return nil
}

// tell says what has happened to the file.
func (s *Spool) tell(why error, keep string, lost int, found inventory) {
	fields := []zap.Field{
		zap.String("directory", s.config.Dir), zap.NamedError("cause", why), zap.Int64("events", found.queued[durable.Event]),
		zap.Int64("quarantined", found.queued[durable.Quarantined]), zap.Int64("refused", found.queued[durable.Refused]), zap.Int64("set_aside", found.aside),
	}
	if keep == "" {
		s.config.Log.Warn("spool's file was given up, and all it held is in a new one", fields...)
		return
	}
	fields = append(fields, zap.String("damaged", filepath.Join(s.config.Dir, keep)), zap.Int("known_lost", lost))
	s.config.Log.Error("spool's file is damaged: it was set aside, and what can be read of it is in a new one; keep it for whoever looks into what is lost", fields...)
}

// missing is how many records should be there and aren't.
func (s *Spool) missing(found map[id]struct{}) (lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.kept {
		if _, ok := found[id]; !ok {
			lost++
		}
	}
	return lost
}

// shrink replaces a large file in which nothing is left: bbolt never gives space back. Where a new one
// can't be written, the large one stays in use.
func (s *Spool) shrink() {
	old := s.file.Load()
	if s.aside.Load() > 0 || old.size() < shrinkAt || time.Now().Before(s.nextShrink) {
		return
	}
	var delivered [durable.Kinds]uint64
	for kind := range s.queued {
		if s.queued[kind].Load() > 0 {
			return
		}
		delivered[kind] = s.next - 1
	}
	f, _, err := build(s.config.Dir, delivered, nothing)
	if err != nil {
		s.nextShrink = time.Now().Add(time.Minute)
		s.config.Log.Warn("spool is empty, but its file could not be made small", zap.String("directory", s.config.Dir), zap.Error(err))
		return
	}
	if err := replace(s.config.Dir, ""); err != nil { // nobody knows which of the two has the name
		f.close()
		s.giveUp(old)
		s.nextRenew = time.Now().Add(tick)
		s.failed(fmt.Errorf("making spool's file small: %w", err))
		return
	}
	s.file.Store(f)
	s.delivered = delivered
	old.close()
}

// isDiskFailure says whether err may go away by itself, or by what is done to the disk. Another error
// is a mistake in the configuration.
func isDiskFailure(err error) bool {
	for _, failure := range []error{errUnwritten, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO} {
		if errors.Is(err, failure) {
			return true
		}
	}
	return false
}
