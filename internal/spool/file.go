package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
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
	queueBuckets = [durable.Kinds][]byte{[]byte("queue-event"), []byte("queue-quarantine")}
	asideBucket  = []byte("aside")

	formatKey = []byte("format")
	probeKey  = []byte("probe")
	markKeys  = [durable.Kinds][]byte{[]byte("delivered-event"), []byte("delivered-quarantine")}
)

// errDamaged: the file's content is not what was written.
var errDamaged = errors.New("damaged")

// file is an open bbolt file.
type file struct {
	db     *bbolt.DB
	handle *os.File
}

// openFile opens a file that is known to be sound, or makes an empty one.
func openFile(path string) (f *file, err error) {
	f = new(file)
	err = guard(func() error {
		f.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:        time.Second, // the directory's lock comes first; this one is for bbolt's own tools
			NoFreelistSync: true,        // or each commit would write a list as long as the largest backlog
			FreelistType:   bbolt.FreelistMapType,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				f.handle, err = os.OpenFile(name, flag, mode)
				return f.handle, err
			},
		})
		return err
	})
	if err != nil {
		_ = f.handle.Close() // bbolt leaves it open where it panics
		return nil, err
	}
	return f, nil
}

// close closes the file and syncs nothing.
func (f *file) close() {
	// After a panic inside bbolt its locks are held for ever; then only the descriptor is closed.
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = f.db.Close()
	}()
	select {
	case <-closed:
	case <-time.After(time.Second):
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

// inventory is what a file holds.
type inventory struct {
	next      uint64                // the next sequence number
	delivered [durable.Kinds]uint64 // up to which the kind's records are delivered
	queued    [durable.Kinds]int64  // records
	aside     int64                 // records set aside
	bytes     int64                 // of all records, as they are encoded
	ids       map[id]struct{}
}

func (i *inventory) add(r *Record, aside bool, size int) {
	i.next = max(i.next, r.Seq+1)
	i.bytes += int64(size)
	i.ids[idOf(&r.Message)] = struct{}{}
	if aside {
		i.aside++
	} else {
		i.queued[r.Kind]++
	}
}

// walk reads all of a file, in order, and hands every record to visit. It never writes, and returns
// errDamaged where anything isn't as it was written.
func walk(path string, visit func(r *Record, aside bool) error) (found inventory, err error) {
	found = inventory{next: 1, ids: make(map[id]struct{})}
	err = guard(func() error {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, ReadOnly: true})
		if err != nil {
			return openError(err)
		}
		defer func() { _ = db.Close() }()
		return db.View(func(tx *bbolt.Tx) error {
			if err := found.meta(tx); err != nil {
				return err
			}
			for kind, name := range queueBuckets {
				if err := found.bucket(tx.Bucket(name), durable.Kind(kind), false, visit); err != nil {
					return err
				}
			}
			return found.bucket(tx.Bucket(asideBucket), 0, true, visit)
		})
	})
	return found, err
}

// openError tells what the file's content is to blame for from what the system is.
func openError(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) || errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
		return err
	}
	return fmt.Errorf("%w: %w", errDamaged, err)
}

func (i *inventory) meta(tx *bbolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		return fmt.Errorf("%w: it has no format", errDamaged)
	}
	switch written := meta.Get(formatKey); {
	case len(written) != 4:
		return fmt.Errorf("%w: it has no format", errDamaged)
	case binary.BigEndian.Uint32(written) > format:
		return fmt.Errorf("%w: format %d, this one knows %d", ErrNewer, binary.BigEndian.Uint32(written), format)
	}
	for kind, key := range markKeys {
		_, payload, _, err := unseal(meta.Get(key))
		marked, delivered, ok := decodeMark(payload)
		if err != nil || !ok || int(marked) != kind {
			return fmt.Errorf("%w: a mark is unreadable", errDamaged)
		}
		i.delivered[kind] = delivered
		i.next = max(i.next, delivered+1)
	}
	return nil
}

func (i *inventory) bucket(b *bbolt.Bucket, kind durable.Kind, aside bool, visit func(*Record, bool) error) error {
	if b == nil {
		return fmt.Errorf("%w: a bucket is missing", errDamaged)
	}
	last := uint64(0)
	c := b.Cursor()
	for key, value := c.First(); key != nil; key, value = c.Next() {
		r, isAside, err := decode(value)
		switch {
		case err != nil:
			return fmt.Errorf("%w: record %x: %w", errDamaged, key, err)
		case len(key) != 8 || binary.BigEndian.Uint64(key) != r.Seq || r.Seq <= last || isAside != aside,
			!aside && (r.Kind != kind || r.Seq <= i.delivered[kind]):
			return fmt.Errorf("%w: record %x is out of place", errDamaged, key)
		}
		last = r.Seq
		i.add(&r, aside, len(value))
		if err := visit(&r, aside); err != nil {
			return err
		}
	}
	return nil
}

// rewrite writes a new file with the records that fill puts, and puts it in the place of the one
// there is, which is kept as keep where that is set. The new file is whole on disk, or nothing has
// changed.
func rewrite(dir, keep string, delivered [durable.Kinds]uint64, fill func(put func(*Record, bool) error) error) (*file, error) {
	path := filepath.Join(dir, newName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	if err = guard(func() error { return f.fill(delivered, fill) }); err == nil {
		err = replace(dir, keep)
	}
	if err != nil {
		f.close()
		_ = os.Remove(path)
		return nil, err
	}
	return f, nil
}

// bytesATime is about how much is put into the new file in one transaction, and read of a queue at
// one time.
const bytesATime = 4 << 20

// fill writes everything and syncs.
func (f *file) fill(delivered [durable.Kinds]uint64, fill func(put func(*Record, bool) error) error) error {
	tx, err := f.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // of the last one; after its commit it does nothing
	if err := prepare(tx, delivered); err != nil {
		return err
	}
	written := 0
	err = fill(func(r *Record, aside bool) error {
		if written > bytesATime {
			if err := tx.Commit(); err != nil {
				return err
			}
			if tx, err = f.db.Begin(true); err != nil {
				return err
			}
			written = 0
		}
		encoded := r.encode(aside)
		written += len(encoded)
		return bucketOf(tx, r.Kind, aside).Put(keyOf(r.Seq), encoded)
	})
	if err != nil {
		return err
	}
	return tx.Commit()
}

// prepare makes what every file has.
func prepare(tx *bbolt.Tx, delivered [durable.Kinds]uint64) error {
	for _, name := range append([][]byte{metaBucket, asideBucket}, queueBuckets[:]...) {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(metaBucket)
	if err := meta.Put(formatKey, binary.BigEndian.AppendUint32(nil, format)); err != nil {
		return err
	}
	for kind, key := range markKeys {
		if err := meta.Put(key, encodeMark(durable.Kind(kind), delivered[kind])); err != nil {
			return err
		}
	}
	return nil
}

// replace puts the new file in the old one's place.
func replace(dir, keep string) error {
	path := filepath.Join(dir, fileName)
	if keep != "" {
		kept := filepath.Join(dir, keep)
		if err := os.Link(path, kept); err != nil { // a file system without links: between two renames newName is the spool
			if err := os.Rename(path, kept); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	if err := os.Rename(filepath.Join(dir, newName), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes what was done to a directory's names durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
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
