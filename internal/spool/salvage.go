package spool

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// wreck is what can still be read in a file whose structure can't be relied on: every record whose
// checksum is right, wherever it stands. bbolt never writes over what a transaction has written
// before, so delivered records stand there too until their pages are used again; the marks tell them
// apart. A mark that is lost as well brings back records that were delivered, which the stream
// recognises, or the forwarder looks up (ADR 9).
type wreck struct {
	file      *os.File
	records   []remains
	delivered [durable.Kinds]uint64
}

// remains is where a record stands.
type remains struct {
	seq    uint64
	id     id
	kind   durable.Kind
	aside  bool
	offset int64
	size   int
}

// salvage reads a file byte by byte.
func salvage(path string) (*wreck, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	w := &wreck{file: f}
	info, err := f.Stat()
	if err == nil {
		err = w.scan(info.Size())
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	w.sort()
	return w, nil
}

// scan looks for records, window by window.
func (w *wreck) scan(size int64) error {
	const window = 1 << 20
	buffer := make([]byte, window)
	for offset := int64(0); offset < size; {
		b := buffer[:min(window, size-offset)]
		w.read(b, offset)
		used := 0
		for used < len(b) {
			i := bytes.Index(b[used:], magic)
			if i < 0 {
				if offset+int64(len(b)) == size {
					return nil
				}
				used = max(used, len(b)-len(magic)+1) // one may begin at the window's end
				break
			}
			used += i
			n, err := w.take(b[used:], offset+int64(used), size)
			if err != nil {
				return err
			}
			used += n
		}
		offset += int64(used)
	}
	return nil
}

// take notes the record that may begin with b, which stands at the offset, and returns how many bytes to go on.
func (w *wreck) take(b []byte, offset, end int64) (int, error) {
	if offset+headerSize > end {
		return len(magic), nil
	}
	if len(b) < headerSize {
		b = make([]byte, headerSize)
		w.read(b, offset)
	}
	n := int64(binary.BigEndian.Uint32(b[8:]))
	if n > largest || offset+headerSize+n > end {
		return len(magic), nil
	}
	if int64(len(b)) < headerSize+n { // it goes on behind the window
		b = make([]byte, headerSize+n)
		w.read(b, offset)
	}
	what, _, size, err := unseal(b)
	switch {
	case errors.Is(err, ErrNewer):
		return 0, err
	case err != nil:
		return len(magic), nil //nolint:nilerr // it is no record, that is all
	case what == stateByte:
		if is, err := decodeState(b[:size]); err == nil {
			for kind, delivered := range is.delivered {
				w.delivered[kind] = max(w.delivered[kind], delivered)
			}
		}
		return size, nil
	}
	r, aside, err := decode(b[:size])
	if err != nil {
		return len(magic), nil //nolint:nilerr // it is no record, that is all
	}
	w.records = append(w.records, remains{r.Seq, idOf(&r.Message), r.Kind, aside, offset, size})
	return size, nil
}

// read fills b. What the disk doesn't give is left out, a page at a time.
func (w *wreck) read(b []byte, offset int64) {
	if _, err := w.file.ReadAt(b, offset); err == nil || errors.Is(err, io.EOF) {
		return
	}
	const page = 4096
	for len(b) > 0 {
		n := min(len(b), int(page-offset%page))
		if _, err := w.file.ReadAt(b[:n], offset); err != nil {
			clear(b[:n])
		}
		b, offset = b[n:], offset+int64(n)
	}
}

// sort puts the records in order and leaves out what was delivered and all but the newest of an id.
func (w *wreck) sort() {
	slices.SortFunc(w.records, func(a, b remains) int {
		if a.seq == b.seq && a.aside != b.aside { // set aside is newer than queued
			if a.aside {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(a.offset, b.offset))
	})
	newest := make(map[id]int, len(w.records))
	for i, r := range w.records {
		newest[r.id] = i
	}
	i := -1
	w.records = slices.DeleteFunc(w.records, func(r remains) bool {
		i++
		return newest[r.id] != i || !r.aside && r.seq <= w.delivered[r.kind]
	})
}

// renumber gives every record a number that none has had, from next on. A record that was refused, because
// its transaction failed, may stand there too, and after a restart its number was another's. What is still
// said of the old numbers, to be settled say, then speaks of nothing, and all of it comes again.
func (w *wreck) renumber(next uint64) {
	for _, delivered := range w.delivered {
		next = max(next, delivered+1)
	}
	for _, r := range w.records {
		next = max(next, r.seq+1)
	}
	for i := range w.records {
		w.records[i].seq = next + uint64(i)
	}
}

// each hands every record to visit, in order.
func (w *wreck) each(visit func(r *Record, aside bool) error) error {
	for _, at := range w.records {
		b := make([]byte, at.size)
		w.read(b, at.offset)
		r, aside, err := decode(b)
		if err != nil {
			continue // it was readable a moment ago, and isn't any more
		}
		r.Seq = at.seq
		if err := visit(&r, aside); err != nil {
			return err
		}
	}
	return nil
}

func (w *wreck) close() { _ = w.file.Close() }
