package main

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// inFile is the floor of the spool: one committer appends what all requests that wait hand it to a
// file, with one write and one sync, and each is answered then.
func inFile(dir string) (keep, error) {
	f, err := os.OpenFile(filepath.Join(dir, "floor.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the floor's file: %w", err)
	}
	type write struct {
		value []byte
		done  chan error
	}
	writes := make(chan write, 256)
	go func() {
		var b []byte
		for {
			batch := []write{<-writes}
			for len(writes) > 0 && len(batch) < cap(writes) {
				batch = append(batch, <-writes)
			}
			b = b[:0]
			for _, w := range batch {
				b = append(binary.BigEndian.AppendUint32(b, uint32(len(w.value))), w.value...)
			}
			_, err := f.Write(b)
			if err == nil {
				err = f.Sync()
			}
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
