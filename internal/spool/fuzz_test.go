package spool

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// FuzzDecode: what has a right checksum is a record that is written again as another that reads the same, or it is
// refused. What hasn't is refused, and so is a record of which anything is cut off or changed.
func FuzzDecode(f *testing.F) {
	r := Record{Message: message("a"), Seq: 1, Arrived: arrived, Attempted: attempted, Reason: "why"}
	f.Add(byte(asideBit), r.encode(true)[headerSize:], uint16(0))
	r.Kind = durable.Quarantined
	f.Add(byte(durable.Quarantined), r.encode(false)[headerSize:], uint16(20))
	f.Add(byte(stateByte), (&state{next: 1}).encode()[headerSize:], uint16(99))
	f.Fuzz(func(t *testing.T, what byte, payload []byte, at uint16) {
		b := sealed(what, func(b []byte) []byte { return append(b, payload...) }, headerSize)
		if is, unsealed, size, err := unseal(append(bytes.Clone(b), "rest"...)); err != nil || is != what || !bytes.Equal(unsealed, payload) || size != len(b) {
			t.Fatalf("unseal: %v, %x, %d, %v", is, unsealed, size, err)
		}
		if r, aside, err := decode(b); err == nil {
			again := r.encode(aside)
			if int64(len(again)) != r.size() {
				t.Errorf("%d bytes, size says %d", len(again), r.size())
			}
			read, isAside, err := decode(again)
			if diff := cmp.Diff(r, read); err != nil || diff != "" || isAside != aside {
				t.Errorf("written and read again: %v (-first +again):\n%s", err, diff)
			}
		}
		i := int(at) % len(b)
		if r, _, err := decode(b[:i]); err == nil {
			t.Errorf("cut at %d it is %+v", i, r)
		}
		changed := bytes.Clone(b)
		changed[i] ^= 1 << (at % 8)
		if r, _, err := decode(changed); err == nil {
			t.Errorf("changed at %d it is %+v", i, r)
		}
		_, _, _ = decode(payload)
		_, _ = decodeState(payload)
	})
}

// FuzzSalvage: a record is found in whatever stands around it, and no file makes walk or salvage fail but one of a
// newer version.
func FuzzSalvage(f *testing.F) {
	s := newSample(f)
	f.Add(s.file[:4096], s.file[8192:12288], []byte("data"))
	f.Add([]byte{}, magic, []byte{})
	f.Add(append(bytes.Repeat(magic, 3), 0, 0, 0), magic[:3], magic)
	path := filepath.Join(f.TempDir(), fileName)
	f.Fuzz(func(t *testing.T, before, after, data []byte) {
		r := Record{Message: long("needle", data), Seq: 1 << 50, Arrived: arrived}
		if err := os.WriteFile(path, slices.Concat(before, r.encode(false), after), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := walk(path, ignore); err != nil && !errors.Is(err, errDamaged) && !errors.Is(err, ErrNewer) {
			t.Errorf("walk: %v", err)
		}
		w, err := salvage(path)
		if errors.Is(err, ErrNewer) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer w.close()
		w.renumber(1)
		found, last := false, uint64(0)
		err = w.each(func(is *Record, aside bool) error {
			found = found || is.ID == r.ID && bytes.Equal(is.Data, data) && !aside
			if is.Seq <= last {
				t.Errorf("%d comes after %d", is.Seq, last)
			}
			last = is.Seq
			return nil
		})
		if err != nil || !found {
			t.Errorf("the record is lost: %v", err)
		}
	})
}
