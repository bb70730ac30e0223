package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// inventory is what a file holds.
type inventory struct {
	state
	bytes [durable.Kinds]int64 // of all its records, as they are encoded
	ids   map[id]struct{}
}

func newInventory(delivered [durable.Kinds]uint64) inventory {
	i := inventory{state: state{next: 1, delivered: delivered}, ids: make(map[id]struct{})}
	for _, seq := range delivered {
		i.next = max(i.next, seq+1)
	}
	return i
}

func (i *inventory) add(r *Record, aside bool) {
	i.next = max(i.next, r.Seq+1)
	i.bytes[r.Kind] += r.size()
	i.ids[idOf(&r.Message)] = struct{}{}
	if aside {
		i.aside++
	} else {
		i.queued[r.Kind]++
	}
}

// walk reads all of a file, in order, and hands every record to visit. It never writes, and returns
// errDamaged where anything isn't as it was written. It reads bbolt's pages by itself, since bbolt
// believes what it reads: a branch that leads back to itself is a loop without end there, and one that
// leads nowhere is a fault in a goroutine of bbolt's own, which ends the process. So bbolt opens no
// file but one that was walked.
func walk(path string, visit func(r *Record, aside bool) error) (found inventory, err error) {
	f, err := os.Open(path)
	if err != nil {
		return found, err
	}
	defer func() { _ = f.Close() }()
	t, err := openTree(f)
	if err != nil {
		return found, err
	}
	buckets := make(map[string][]byte)
	err = t.each(t.root, nil, nil, func(e entry) error {
		if !e.isBucket {
			return damaged("%q is no bucket", e.key)
		}
		buckets[string(e.key)] = e.value
		return nil
	})
	if err != nil {
		return found, err
	}
	is, err := t.state(buckets[string(metaBucket)])
	if err != nil {
		return found, err
	}
	if len(buckets) != 2+len(queueBuckets) {
		return found, damaged("%d buckets", len(buckets))
	}
	found = newInventory(is.delivered)
	for kind, name := range queueBuckets {
		if err := found.bucket(t, buckets[string(name)], durable.Kind(kind), false, visit); err != nil {
			return found, err
		}
	}
	if err := found.bucket(t, buckets[string(asideBucket)], 0, true, visit); err != nil {
		return found, err
	}
	if found.queued != is.queued || found.aside != is.aside || found.next > is.next {
		return found, damaged("records are missing: %d of %d, set aside %d of %d", found.queued, is.queued, found.aside, is.aside)
	}
	found.next = is.next
	return found, nil
}

func ignore(*Record, bool) error { return nil }

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errDamaged}, args...)...)
}

// state reads the file's state.
func (t *tree) state(bucket []byte) (is state, err error) {
	var value []byte
	err = t.bucket(bucket, func(e entry) error {
		if bytes.Equal(e.key, stateKey) {
			value = e.value
		}
		return nil
	})
	if err != nil {
		return is, err
	}
	is, err = decodeState(value)
	if err != nil && !errors.Is(err, ErrNewer) {
		err = damaged("its state is unreadable: %w", err)
	}
	return is, err
}

func (i *inventory) bucket(t *tree, value []byte, kind durable.Kind, aside bool, visit func(*Record, bool) error) error {
	return t.bucket(value, func(e entry) error {
		r, isAside, err := decode(e.value)
		switch {
		case err != nil:
			return damaged("record %x: %w", e.key, err)
		case len(e.key) != 8 || binary.BigEndian.Uint64(e.key) != r.Seq || isAside != aside,
			!aside && (r.Kind != kind || r.Seq <= i.delivered[kind]):
			return damaged("record %x is out of place", e.key)
		}
		i.add(&r, aside)
		return visit(&r, aside)
	})
}
