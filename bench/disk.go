package main

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// inBolt is the floor of the spool: one committer writes what all requests that wait hand it into one
// transaction, and each is answered when that is synced.
func inBolt(dir string) (keep, error) {
	db, err := bolt.Open(filepath.Join(dir, "floor.db"), 0o600, &bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("opening the floor's bbolt: %w", err)
	}
	type write struct {
		value []byte
		done  chan error
	}
	writes := make(chan write, 256)
	go func() {
		for {
			batch := []write{<-writes}
			for len(writes) > 0 && len(batch) < cap(writes) {
				batch = append(batch, <-writes)
			}
			err := db.Update(func(tx *bolt.Tx) error {
				b, err := tx.CreateBucketIfNotExists([]byte("events"))
				if err != nil {
					return err
				}
				b.FillPercent = 1 // keys only grow
				for _, w := range batch {
					n, err := b.NextSequence()
					if err != nil {
						return err
					}
					if err := b.Put(binary.BigEndian.AppendUint64(nil, n), w.value); err != nil {
						return err
					}
				}
				return nil
			})
			for _, w := range batch {
				w.done <- err
			}
		}
	}()
	return func(_ *http.Request, _ string, body []byte) error {
		done := make(chan error, 1)
		writes <- write{body, done}
		return <-done
	}, nil
}
