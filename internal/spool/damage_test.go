package spool

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// sample is a spool's file, and what is in it.
type sample struct {
	file  []byte
	live  []kept // in order
	state []byte
}

// kept is a record with its place.
type kept struct {
	Record
	Aside bool
}

func (k *kept) encoded() []byte { return k.encode(k.Aside) }

// newSample makes a file as many transactions leave it: two queues, records set aside, records that were
// delivered and still stand on free pages, branches, records of one byte and of many pages.
func newSample(t testing.TB) *sample {
	t.Helper()
	// Which free pages are used again is a matter of what the committer finds waiting together.
	for range 50 {
		if s := trySample(t); s != nil {
			return s
		}
	}
	t.Fatal("nothing that was delivered stands on a free page")
	return nil
}

// trySample returns nil where nothing that was delivered is left.
func trySample(t testing.TB) *sample {
	t.Helper()
	dir := t.TempDir()
	f := open(t, dir)
	for i := range 60 {
		m := long(fmt.Sprint("id-", i), bytes.Repeat([]byte{'a' + byte(i%26)}, 1+i*i%400))
		switch {
		case i%11 == 0:
			m.Kind = durable.Quarantined
		case i == 30 || i == 50:
			m.Data = bytes.Repeat([]byte("0123456789"), 900)
		}
		if err := f.Append(t.Context(), m, arrived, attempted); err != nil {
			t.Fatal(err)
		}
	}
	f.keeps("the", "last", "ones")
	first := f.all()[0]
	f.Settle(durable.Event, 20, map[uint64]string{7: "refused", 18: "too large"})
	f.Settle(durable.Quarantined, 23, nil)
	eventually(t, "settled", func() bool { return f.Stats().Aside == 2 && f.Stats().Queued[durable.Quarantined] == 3 })
	f.close()
	s := readSample(t, dir)
	if !bytes.Contains(s.file, first.encode(false)) {
		return nil
	}
	return s
}

func readSample(t testing.TB, dir string) *sample {
	t.Helper()
	s := new(sample)
	found, err := walk(filepath.Join(dir, fileName), func(r *Record, aside bool) error {
		s.live = append(s.live, kept{*r, aside})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sortKept(s.live)
	s.state = found.encode()
	if s.file, err = os.ReadFile(filepath.Join(dir, fileName)); err != nil {
		t.Fatal(err)
	}
	return s
}

func sortKept(records []kept) {
	slices.SortFunc(records, func(a, b kept) int { return int(a.Seq) - int(b.Seq) })
}

// same is much quicker than cmp.Diff.
func same(a, b []kept) bool {
	return slices.EqualFunc(a, b, func(a, b kept) bool {
		return a.Seq == b.Seq && a.Aside == b.Aside && a.Kind == b.Kind && a.ID == b.ID && a.Subject == b.Subject && a.Reason == b.Reason &&
			a.Arrived.Equal(b.Arrived) && a.Attempted.Equal(b.Attempted) && slices.Equal(a.Headers, b.Headers) && bytes.Equal(a.Data, b.Data)
	})
}

// check holds what was found in a damaged file to what stands in it unharmed: the same records in the same
// order, though each has a new number.
func (s *sample) check(t *testing.T, file []byte, found []kept) {
	t.Helper()
	marked := bytes.Contains(file, s.state)
	if same(s.live, found) {
		return
	}
	got := make(map[string]kept)
	last := uint64(0)
	for _, r := range found {
		if r.Seq <= last {
			t.Errorf("record %d comes after %d", r.Seq, last)
		}
		last = r.Seq
		got[r.ID] = r
	}
	place := uint64(0)
	for _, want := range s.live {
		have, ok := got[want.ID]
		delete(got, want.ID)
		switch {
		case ok && have.Aside == want.Aside && have.Seq > place:
			place, have.Seq = have.Seq, want.Seq
			if !same([]kept{have}, []kept{want}) {
				t.Errorf("a record was changed (-want +got):\n%s", cmp.Diff(want, have))
			}
		case bytes.Contains(file, want.encoded()):
			t.Errorf("record %d is unharmed and lost, or in the wrong place", want.Seq)
		}
	}
	if marked && len(got) > 0 {
		t.Errorf("%d records came back that had been delivered, though the marks can be read", len(got))
	}
}

// TestEachByte changes each byte that means something in the heads, of all branches, of the page of the buckets and of the first leaf
// with records. What walk finds sound bbolt must be able to open and to read, and all of it must be there.
func TestEachByte(t *testing.T) {
	s := newSample(t)
	path := filepath.Join(t.TempDir(), fileName)
	var pages []int
	leaves, branches := 0, 0
	for page := 2; page*4096 < len(s.file); page++ {
		switch p := s.file[page*4096:]; {
		case native.Uint64(p) != uint64(page):
		case native.Uint16(p[8:]) == branchPage:
			if reachable(t, s.file, page) {
				branches++
			}
			pages = append(pages, page)
		case native.Uint16(p[8:]) == leafPage && (native.Uint32(p[16:]) == 1 || leaves == 0):
			leaves++
			pages = append(pages, page)
		}
	}
	pages = append([]int{0, 1}, slices.DeleteFunc(pages, func(page int) bool { return !reachable(t, s.file, page) })...)
	if branches == 0 {
		t.Fatal("the sample has no branch")
	}
	if err := os.WriteFile(path, s.file, 0o600); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	tried, unnoticed := 0, 0
	for _, page := range pages {
		for i := range 4096 {
			if i >= 128 && i%32 > 0 && s.file[page*4096+i] == 0 {
				continue // most of it means nothing, and the race detector takes its time
			}
			tried++
			file := bytes.Clone(s.file)
			file[page*4096+i] ^= 1 << random.IntN(8)
			write(t, path, int64(page*4096+i), file[page*4096+i])
			// bbolt looks at nothing behind a page's entries that walk doesn't; it is asked of some all the same.
			found, isDamaged := readAsOpen(t, path, i < 128 || i%32 == 0)
			if !isDamaged {
				unnoticed++
			}
			s.check(t, file, found)
			write(t, path, int64(page*4096+i), s.file[page*4096+i])
			if t.Failed() {
				t.Fatalf("page %d, byte %d", page, i)
			}
		}
	}
	t.Logf("%d bytes on pages %v, of which %d mean nothing", tried, pages, unnoticed)
}

// reachable says whether a page is in use: without it, the file is damaged.
func reachable(t *testing.T, file []byte, page int) bool {
	path := filepath.Join(t.TempDir(), fileName)
	file = bytes.Clone(file)
	clear(file[page*4096:][:4096])
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := walk(path, ignore)
	return err != nil
}

// readAsOpen reads a file as Open does, without writing a new one.
func readAsOpen(t *testing.T, path string, withBolt bool) (found []kept, isDamaged bool) {
	t.Helper()
	collect := func(r *Record, aside bool) error {
		found = append(found, kept{*r, aside})
		return nil
	}
	switch _, err := walk(path, collect); {
	case errors.Is(err, errDamaged):
		found = nil
		w, err := salvage(path)
		if err == nil {
			err = w.each(collect)
			w.close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return found, true
	case err != nil:
		t.Fatal(err)
	}
	sortKept(found)
	if !withBolt {
		return found, false
	}
	f, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	var read []kept
	err = f.db.View(func(tx *bbolt.Tx) error {
		for _, name := range append([][]byte{asideBucket}, queueBuckets[:]...) {
			err := tx.Bucket(name).ForEach(func(_, value []byte) error {
				r, aside, err := decode(bytes.Clone(value))
				read = append(read, kept{r, aside})
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sortKept(read)
	if !same(found, read) {
		t.Errorf("bbolt reads something else (-walk +bbolt):\n%s", cmp.Diff(found, read))
	}
	return read, false
}

// TestDamagedFile opens damaged files as a start of the bridge does.
func TestDamagedFile(t *testing.T) {
	s := newSample(t)
	random := rand.New(rand.NewPCG(3, 4))
	type damage struct {
		name string
		file []byte
	}
	var damages []damage
	add := func(name string, change func(file []byte) []byte) {
		damages = append(damages, damage{name, change(bytes.Clone(s.file))})
	}
	for _, length := range []int{0, 1, 79, 80, 4095, 4096, 4176, 8191, 8192, len(s.file) - 1} {
		add(fmt.Sprint("cut at ", length), func(file []byte) []byte { return file[:length] })
	}
	for page := 0; page*4096 < len(s.file); page++ {
		add(fmt.Sprint("cut in page ", page), func(file []byte) []byte { return file[:page*4096+random.IntN(4096)] })
		add(fmt.Sprint("zero page ", page), func(file []byte) []byte {
			clear(file[page*4096:][:4096])
			return file
		})
		add(fmt.Sprint("half of page ", page), func(file []byte) []byte {
			clear(file[page*4096+512:][:4096-512])
			return file
		})
		add(fmt.Sprint("page before in place of ", page), func(file []byte) []byte {
			copy(file[page*4096:], s.file[max(0, page-1)*4096:][:4096])
			return file
		})
	}
	for range 60 {
		offset := random.IntN(len(s.file))
		add(fmt.Sprint("bit at ", offset), func(file []byte) []byte {
			file[offset] ^= 1 << random.IntN(8)
			return file
		})
	}
	add("noise", func(file []byte) []byte {
		for i := range file {
			file[i] = byte(random.Uint32())
		}
		return file
	})
	add("every page noisy", func(file []byte) []byte {
		for page := 0; page*4096 < len(file); page++ {
			file[page*4096+random.IntN(4096)] ^= 0x40
		}
		return file
	})
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) { s.opens(t, d.file) })
	}
}

// opens opens a damaged file and expects all that is unharmed, an error in the log, and the file kept.
func (s *sample) opens(t *testing.T, file []byte) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), file, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := walk(filepath.Join(dir, fileName), ignore)
	f := open(t, dir)
	s.check(t, file, f.everything())
	aside, globErr := filepath.Glob(filepath.Join(dir, damagedName+"*"))
	if globErr != nil {
		t.Fatal(globErr)
	}
	loud := f.logs.FilterLevelExact(zapcore.ErrorLevel).Len()
	if err == nil && (len(aside) > 0 || f.logs.Len() > 0) {
		t.Errorf("a file that is sound: %v, %v", aside, f.logs.All())
	}
	if err != nil {
		if len(aside) != 1 || loud != 1 || f.logs.Len() != 1 {
			t.Fatalf("set aside: %v; the log: %v", aside, f.logs.All())
		}
		was, err := os.ReadFile(aside[0])
		if err != nil || !bytes.Equal(was, file) {
			t.Errorf("the damaged file was changed, or can't be read: %v", err)
		}
	}
	f.keeps("new")
	want := f.everything()
	f.close()
	f = open(t, dir)
	if !same(want, f.everything()) || f.logs.Len() > 0 {
		t.Errorf("opened again it holds something else: %v", f.logs.All())
	}
}

// everything reads all records, in order.
func (f *fixture) everything() (found []kept) {
	f.t.Helper()
	for kind := range durable.Kinds {
		found = append(found, f.rest(false, func(after uint64) ([]Record, error) { return f.Next(durable.Kind(kind), after, 7) })...)
	}
	found = append(found, f.rest(true, func(after uint64) ([]Record, error) { return f.Aside(after, 7) })...)
	sortKept(found)
	return found
}

func (f *fixture) rest(aside bool, next func(after uint64) ([]Record, error)) (found []kept) {
	f.t.Helper()
	for after := uint64(0); ; {
		records, err := next(after)
		if err != nil {
			f.t.Fatal(err)
		}
		if len(records) == 0 {
			return found
		}
		for _, r := range records {
			found = append(found, kept{r, aside})
			after = r.Seq
		}
	}
}

// write changes one byte of a file.
func write(t tb, path string, offset int64, b byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{b}, offset); err != nil {
		t.Fatal(err)
	}
}
