package spool

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// sample returns a disk with a spool: three files of events and one of records set aside.
func sample(t testing.TB) *memory {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keepsNumbered(14)
	records, err := f.Next(publish.Event, 0, 2, maxBytes)
	expect.NoError(t, err)
	f.settle(records, map[uint64]string{records[1].Seq: "because of 1"})
	f.close()
	return m
}

// unharmed returns the ids of the records that are on the disk as they were written.
func unharmed(m, was *memory) map[string]bool {
	ids := make(map[string]bool)
	for path, i := range was.live {
		_, _, salt, _ := parseName(filepath.Base(path))
		for _, r := range recordsIn(path, i) {
			isDelivered := r.ID == "0" || r.ID == "1" && r.Reason == ""
			whole := r.append(nil, salt)
			if !isDelivered && bytes.Contains(m.live[path].live, whole) {
				ids[r.ID] = true
			}
		}
	}
	return ids
}

// awaitRenamed waits until a damaged file is renamed.
func awaitRenamed(t *testing.T, m *memory, path string) {
	t.Helper()
	poll.Until(t, "the damaged file is renamed", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.live[path+damagedSuffix] != nil
	})
}

// TestFlippedBits flips a bit of each byte. The undamaged records are delivered in order, and a loss is
// reported.
func TestFlippedBits(t *testing.T) {
	was := sample(t)
	random := rand.New(rand.NewPCG(1, 2))
	for path, i := range was.live {
		for at := range i.live {
			if filepath.Base(path) == markName && at%7 > 0 {
				continue
			}
			m := was.clone()
			data := bytes.Clone(i.live)
			data[at] ^= 1 << random.IntN(8)
			m.live[path].live = data
			want := unharmed(m, was)
			loud := len(want) < 13
			f := open(t, "spool", on(m))
			// A loss of delivered records can't be known.
			if said := f.logs.FilterLevelExact(zapcore.ErrorLevel).Len() > 0; loud && !said {
				t.Errorf("%d are lost, and the log is: %v", 13-len(want), f.logs.All())
			}
			f.close()
			crashed(t, fmt.Sprintf("byte %d of %s", at, path), m, want, nil, nil, true)
			if t.Failed() {
				t.FailNow()
			}
		}
	}
}

// TestNoise overwrites parts of the files at random.
func TestNoise(t *testing.T) {
	was := sample(t)
	random := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		m := was.clone()
		for _, i := range m.live {
			i.live = bytes.Clone(i.live)
			for range random.IntN(4) {
				from := random.IntN(len(i.live))
				part := i.live[from:min(len(i.live), from+random.IntN(300))]
				switch random.IntN(3) {
				case 0:
					clear(part)
				case 1:
					copy(part, bytes.Repeat(recordMagic, 75))
				default:
					for j := range part {
						part[j] = byte(random.Uint32())
					}
				}
			}
		}
		crashed(t, "noise", m, unharmed(m, was), nil, nil, true)
		if t.Failed() {
			t.FailNow()
		}
	}
}

// TestDamageWhileOpen: a record that can't be read is logged once and doesn't hold up others.
func TestDamageWhileOpen(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keepsNumbered(12)
	first := f.journals[0].all()[0].path
	bad := bytes.Index(m.live[first].live, []byte("<3>"))
	m.mu.Lock()
	m.live[first].live = bytes.Clone(m.live[first].live)
	m.live[first].live[bad] ^= 1
	m.mu.Unlock()
	var got []string
	after := uint64(0)
	poll.Until(t, "all but one is delivered", func() bool {
		records, err := f.Next(publish.Event, after, 2, maxBytes)
		if err == nil && len(records) > 0 && f.Settle(publish.Event, records) == nil { // else they come again
			got = append(got, idsOf(records)...)
			after = records[len(records)-1].Seq
		}
		return f.Len(publish.Event) == 0
	})
	if want := "0 1 2 4 5 6 7 8 9 10 11"; strings.Join(got, " ") != want {
		t.Errorf("delivered %q", got)
	}
	if f.Holds(publish.Event, "3") {
		t.Error("the one that is lost is held: it would be refused as a duplicate")
	}
	if n := f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
		t.Errorf("the log is: %v", f.logs.All())
	}
	awaitRenamed(t, m, first)
}

// TestDamageIsFoundTwice: a reader finds damage, and so does a recovery that has begun since. It is logged
// once.
func TestDamageIsFoundTwice(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keeps("a")
	m.mu.Lock()
	i := m.live[f.journals[publish.Event].all()[0].path]
	i.live = bytes.Clone(i.live)
	i.live[recordHeader] ^= 1
	m.mu.Unlock()
	slow := make(chan struct{})
	m.slow.Store(&slow)
	var read sync.WaitGroup
	read.Go(func() { _, _ = f.Next(publish.Event, 0, 1, maxBytes) }) // without a record, and perhaps with an error
	poll.Until(t, "it is being read", func() bool { return m.waits.Load() == 1 })
	f.recoverAgain()
	poll.Until(t, "a recovery reads it, too", func() bool { return m.waits.Load() == 2 })
	m.slow.Store(nil)
	close(slow)
	read.Wait()
	losses := func() int { return f.logs.FilterLevelExact(zapcore.ErrorLevel).Len() }
	poll.Until(t, "it is logged", func() bool { return losses() > 0 })
	f.rests()
	expect.Equal(t, 1, losses(), "losses logged")
}

// TestDamagedFileAtEnd: an unreadable file behind the last record is renamed too.
func TestDamagedFileAtEnd(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keepsNumbered(12)
	all := f.journals[0].all()
	last := all[len(all)-1].path
	f.close()
	records := m.live[last].live
	clear(records[:len(records)-recordHeader]) // the probe at the end shows that there were some
	f = open(t, "spool", on(m))
	poll.Until(t, "the damaged file is renamed", func() bool {
		if records := f.all(); len(records) > 0 {
			f.settle(records, nil)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.live[last+damagedSuffix] != nil
	})
	expect.Equal(t, 0, f.Len(publish.Event), "records counted")
}

// TestDamageBeforeTheQueue: damage from a settled record to one that waits doesn't hold up others.
func TestDamageBeforeTheQueue(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m), large)
	f.keeps("a", "b", "c")
	f.settle(f.all()[:1], nil)
	_, i := f.file(m)
	m.mu.Lock()
	i.live = bytes.Clone(i.live)
	clear(i.live[:sizeOf(message("a"))+recordHeader])
	m.mu.Unlock()
	f.readAgain()
	f.holds("c")
}

// TestWrongCount: a wrong count of the records is corrected, since events are published directly
// only while it is 0.
func TestWrongCount(t *testing.T) {
	f := open(t, "spool", on(newMemory()))
	f.keeps("a")
	f.settle(f.all(), nil)
	for _, n := range []int64{1, -1} {
		f.journals[publish.Event].queued.Store(n)
		poll.Until(t, "none are counted", func() bool {
			_ = f.all()
			return f.Len(publish.Event) == 0
		})
	}
	f.keeps("b")
	f.holds("b")
}

// TestUndecodable: a record that has correct checksums but can't be decoded is reported, and doesn't hold
// up others.
func TestUndecodable(t *testing.T) {
	m := newMemory()
	in := &segment{number: 1, salt: 2}
	var b []byte
	for i, payload := range [][]byte{
		payload(message("a")), append(payload(message("b")), 0), payload(message("c")),
	} {
		b = appendRaw(b, Record{Seq: uint64(i + 1), isFirst: true}, payload, in.salt)
	}
	name := filepath.Join("spool", nameOf("event", in.number, in.salt))
	m.live[name] = &inode{live: b}
	f := open(t, "spool", on(m))
	f.holds("a", "c")
	if n := f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 || f.Len(publish.Event) != 2 {
		t.Errorf("%d are counted, the log is: %v", f.Len(publish.Event), f.logs.All())
	}
	f.settle(f.all(), nil)
	awaitRenamed(t, m, name)
}

// TestRemovedWhileOpen: files that are removed while the spool is open are written again.
func TestRemovedWhileOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	f := open(t, dir, func(c *Config) { c.segmentSize = 300 })
	f.keeps("a", "b", "c", "d", "e")
	records := f.all()
	f.settle(records[:1], map[uint64]string{records[0].Seq: "refused"})
	poll.Until(t, "set aside", func() bool { return f.Stats().SetAside == 1 })
	poll.Until(t, "all is removed, though the spool may still write", func() bool { return os.RemoveAll(dir) == nil })
	f.keeps("f") // into a file without a name, or already into a new one
	poll.Until(t, "they are there again", func() bool {
		names, err := filepath.Glob(filepath.Join(dir, "*."+format))
		expect.NoError(t, err)
		n := 0
		for _, j := range f.journals {
			n += len(j.all())
		}
		return len(names) == n
	})
	f.keeps("g")
	if n := f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
		t.Errorf("the log is: %v", f.logs.All())
	}
	f.close()
	f = open(t, dir)
	f.holds("b", "c", "d", "e", "f", "g")
	expect.Equal(t, 1, f.Stats().SetAside, "records set aside")
}

// TestOtherVersions: files of another version are left as they are.
func TestOtherVersions(t *testing.T) {
	for name, file := range map[string]string{
		"newer": strings.Replace(nameOf("event", 1, 2), format, "v3", 1), "unknown journal": nameOf("other", 1, 2),
		"first format": strings.Replace(nameOf("event", 1, 2), format, "log", 1), "bbolt": oldName,
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			path, content := filepath.Join("spool", file), []byte("content")
			m.live[path] = &inode{live: content}
			_, err := Open(open(t, "elsewhere", on(newMemory())).config.on(m))
			expect.ErrorIs(t, ErrVersion, err, "the error")
			if len(m.live) != 1 || !bytes.Equal(m.live[path].live, content) {
				t.Error("the files were touched")
			}
		})
	}
}

// TestSyncAtStartFails: if a file can't be synced at the start, a message that may not be durable is
// written again when it comes again, and delivered twice.
func TestSyncAtStartFails(t *testing.T) {
	m := refuses(t)
	failed := false
	m.fails = func(c call) error {
		if c.name == "fsync" && !failed {
			failed = true
			return syscall.EIO
		}
		return nil
	}
	f := open(t, "spool", on(m))
	f.keeps("b", "b")
	f.holds("a", "b", "b")
	f.close()
	crashed := open(t, "spool", on(m.clone().afterPowerLoss(nil)))
	crashed.holds("a", "b")
	expect.Equal(t, 0, len(m.violated), "calls that must not be made")
}

// TestHoleInLastWrite: a loss of power may leave a hole in the last write, which was never
// acknowledged. In an earlier write it is damage.
func TestHoleInLastWrite(t *testing.T) {
	for name, isSealed := range map[string]bool{"last": false, "earlier": true} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			f := open(t, "spool", on(m))
			f.keeps("a", "b")
			records := f.all()
			f.settle(records, map[uint64]string{records[0].Seq: "refused", records[1].Seq: "refused"}) // by one write
			path := f.journals[setAside].all()[0].path
			f.close()
			content := m.live[path].live
			clear(content[:recordHeader])
			if !isSealed {
				m.live[path].live = content[:len(content)-recordHeader]
			}
			f = open(t, "spool", on(m))
			expect.Equal(t, isSealed, f.logs.FilterLevelExact(zapcore.ErrorLevel).Len() == 1, "reported as damage")
			expect.Equal(t, 1, f.logs.Len(), "lines")
			expect.Equal(t, 1, f.Stats().SetAside, "records set aside")
		})
	}
}
