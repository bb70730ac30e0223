package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/ade15e70/webhook-bridge/internal/durable"
	"github.com/ade15e70/webhook-bridge/internal/filewatch"
)

// Next returns the kind's records behind the one numbered after, oldest first: most at the most, and
// no more than about 4 MiB, but at least one.
func (s *Spool) Next(kind durable.Kind, after uint64, most int) ([]Record, error) {
	return s.list(after, most, func(tx *bbolt.Tx) *bbolt.Bucket { return tx.Bucket(queueBuckets[kind]) })
}

// Aside returns the records that are set aside behind the one numbered after, as Next does.
func (s *Spool) Aside(after uint64, most int) ([]Record, error) {
	return s.list(after, most, func(tx *bbolt.Tx) *bbolt.Bucket { return tx.Bucket(asideBucket) })
}

func (s *Spool) list(after uint64, most int, of func(*bbolt.Tx) *bbolt.Bucket) (records []Record, err error) {
	f := s.file.Load()
	if f == nil {
		return nil, fmt.Errorf("reading spool: %w", errNoFile)
	}
	err = guard(func() error {
		tx, err := f.begin(false)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		size := 0
		cursor := of(tx).Cursor()
		for key, value := cursor.Seek(keyOf(after + 1)); key != nil && len(records) < most && (size == 0 || size+len(value) <= bytesATime); key, value = cursor.Next() {
			r, _, err := decode(bytes.Clone(value)) // the mapping's pages are only ours until the end of tx
			if err != nil {
				return fmt.Errorf("%w: record %x: %w", errDamaged, key, err)
			}
			records = append(records, r)
			size += len(value)
		}
		return nil
	})
	if err != nil {
		if errors.Is(err, errDamaged) { // then the committer gives it up
			f.damage.CompareAndSwap(nil, &err)
			signal(s.wake)
		}
		return nil, fmt.Errorf("reading spool: %w", err)
	}
	return records, nil
}

// Read hands every record in a directory to visit, first those in the queues and then those set
// aside, and changes nothing there. Of a damaged file it reads what can be read, and says so with
// damaged. The error wraps [filewatch.ErrInUse] where a process has the spool open.
func Read(dir string, visit func(r *Record) error) (damaged, err error) {
	path := filepath.Join(dir, fileName)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("reading spool: %w", err)
	}
	lock, err := filewatch.LockDirShared(dir, lockName)
	if err != nil {
		return nil, fmt.Errorf("reading spool: %w", err)
	}
	defer func() { _ = lock.Close() }()
	each := func(r *Record, _ bool) error { return visit(r) }
	if _, damaged = walk(path, ignore); damaged == nil {
		_, err = walk(path, each)
		return nil, err
	}
	if !errors.Is(damaged, errDamaged) {
		return nil, fmt.Errorf("reading spool: %w", damaged)
	}
	w, err := salvage(path)
	if err != nil {
		return damaged, fmt.Errorf("reading spool: %w", err)
	}
	defer w.close()
	return damaged, w.each(each)
}
