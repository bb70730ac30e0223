package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// The files in a spool's directory.
const (
	fileName    = "spool.db"
	newName     = "spool.db.new"      // being written; takes fileName's place once it is whole
	damagedName = "spool.db.damaged-" // with a time: what was set aside, for somebody to look at
	lockName    = "spool.lock"
)

// The buckets of a file. Keys are sequence numbers, 8 bytes big-endian, so that bbolt keeps the
// records in order of arrival.
var (
	metaBucket   = []byte("meta")
	queueBuckets = [durable.Kinds][]byte{[]byte("queue-event"), []byte("queue-quarantine"), []byte("queue-refused")}
	asideBucket  = []byte("aside")

	stateKey = []byte("state")
)

// errDamaged: the file's content is not what was written.
var errDamaged = errors.New("damaged")

// errUnwritten: a new file could not be written. Of some errors bbolt leaves only the text.
var errUnwritten = errors.New("it could not be written")

// file is an open bbolt file.
type file struct {
	db       *bbolt.DB
	handle   *os.File
	pageSize int64
	begins   sync.Mutex            // a Begin that panics leaves a lock of bbolt's locked: no second one may try
	stuck    atomic.Bool           // one did
	damage   atomic.Pointer[error] // why it can't be read; nil while it can
}

// openFile opens a file that was walked and is sound, or makes an empty one.
func openFile(path string) (*file, error) {
	f := new(file)
	err := guard(func() (err error) {
		f.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:        time.Second, // the directory's lock comes first; this one is for bbolt's own tools
			NoFreelistSync: true,        // or each commit would write a list as long as the largest backlog
			FreelistType:   bbolt.FreelistMapType,
			OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
				f.handle, err = os.OpenFile(name, flag, mode)
				return f.handle, err
			},
		})
		return err
	})
	if err != nil {
		_ = f.handle.Close() // bbolt leaves it open where it panics
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	f.pageSize = int64(f.db.Info().PageSize)
	return f, nil
}

// begin begins a transaction, unless the file is known to be damaged.
func (f *file) begin(writable bool) (tx *bbolt.Tx, err error) {
	f.begins.Lock()
	defer f.begins.Unlock()
	if err := f.damage.Load(); err != nil {
		return nil, *err
	}
	err = guard(func() error {
		tx, err = f.db.Begin(writable)
		return err
	})
	if errors.Is(err, errDamaged) {
		f.stuck.Store(true)
		f.damage.Store(&err)
	}
	return tx, err
}

// close closes the file and syncs nothing.
func (f *file) close() {
	if f.stuck.Load() { // bbolt would wait for ever for its own lock
		_ = f.handle.Close()
		return
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = f.db.Close()
	}()
	select {
	case <-closed:
	case <-time.After(time.Second): // a panic elsewhere in bbolt may have left one locked, too
		_ = f.handle.Close()
	}
}

// guard calls f where a damaged file could make bbolt panic, or the kernel say that a page of the
// mapping isn't there.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return f()
}

// isNoSpace says whether err is a write's that found no room. What was on disk before is untouched,
// and bbolt has rolled back. A sync that says the same is another matter: what it should have
// written may be gone.
func isNoSpace(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT))
}

// source hands every record that a new file is to have to put, in order.
type source func(put func(r *Record, aside bool) error) error

func nothing(func(*Record, bool) error) error { return nil }

// rewrite writes a new file with the source's records and puts it in the place of the one there is, which is
// kept as keep where that is set. Where it fails, either of the two may be there, and the old one must not be
// written any more.
func rewrite(dir, keep string, delivered [durable.Kinds]uint64, records source) (*file, inventory, error) {
	f, found, err := build(dir, delivered, records)
	if err != nil {
		return nil, found, err
	}
	if err := replace(dir, keep); err != nil {
		f.close()
		return nil, found, err
	}
	return f, found, nil
}

// build writes a new file beside the one there is. It is whole on disk, or gone.
func build(dir string, delivered [durable.Kinds]uint64, records source) (f *file, found inventory, err error) {
	path := filepath.Join(dir, newName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, found, err
	}
	if f, err = openFile(path); err == nil {
		err = guard(func() error {
			found, err = f.fill(delivered, records)
			return err
		})
		if err == nil {
			return f, found, nil
		}
		f.close()
		err = fmt.Errorf("%w: %w", errUnwritten, err)
	}
	_ = os.Remove(path)
	return nil, found, err
}

// bytesATime is about how much is put into the new file in one transaction, and read of a queue at
// one time.
const bytesATime = 4 << 20

// fill writes everything and syncs. The state comes last: without it the file isn't whole.
func (f *file) fill(delivered [durable.Kinds]uint64, records source) (inventory, error) {
	found := newInventory(delivered)
	tx, err := f.db.Begin(true)
	if err != nil {
		return found, err
	}
	defer func() { _ = tx.Rollback() }() // of the last one; after its commit it does nothing
	for _, name := range append([][]byte{metaBucket, asideBucket}, queueBuckets[:]...) {
		if _, err := tx.CreateBucket(name); err != nil {
			return found, err
		}
	}
	written := 0
	err = records(func(r *Record, aside bool) error {
		if written > bytesATime {
			if err := tx.Commit(); err != nil {
				return err
			}
			if tx, err = f.db.Begin(true); err != nil {
				return err
			}
			written = 0
		}
		found.add(r, aside)
		encoded := r.encode(aside)
		written += len(encoded)
		return bucketOf(tx, r.Kind, aside).Put(keyOf(r.Seq), encoded)
	})
	if err != nil {
		return found, err
	}
	if err := tx.Bucket(metaBucket).Put(stateKey, found.encode()); err != nil {
		return found, err
	}
	return found, tx.Commit()
}

// replace puts the new file in the old one's place.
func replace(dir, keep string) error {
	path, fresh, kept := filepath.Join(dir, fileName), filepath.Join(dir, newName), ""
	if keep != "" && os.Link(path, filepath.Join(dir, keep)) != nil {
		// A file system without links: until the second rename newName is the spool (see create).
		kept = filepath.Join(dir, keep)
		if err := os.Rename(path, kept); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(fresh, path); err != nil {
		if kept != "" {
			_ = os.Rename(kept, path)
		}
		return err
	}
	return syncDir(dir)
}

// syncDir makes what was done to a directory's names durable, on file systems that can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

func bucketOf(tx *bbolt.Tx, kind durable.Kind, aside bool) *bbolt.Bucket {
	if aside {
		return tx.Bucket(asideBucket)
	}
	b := tx.Bucket(queueBuckets[kind])
	b.FillPercent = 0.95 // keys only ascend: a page that is full stays so
	return b
}

func keyOf(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }
