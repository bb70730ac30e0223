package spool

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

func on(m *memory) func(*Config) {
	return func(c *Config) { c.disk, c.segmentSize, c.openPatience, c.ReadPatience = m, 700, time.Hour, 1 }
}

// numbered returns a message with contents that depend on its id.
func numbered(id string) publish.Message {
	m := long(id, bytes.Repeat([]byte("<"+id+">"), 1+7*len(id)%20))
	if strings.HasPrefix(id, "q") {
		m.Kind = publish.Quarantined
	}
	return m
}

// keepsNumbered appends so many messages that must be kept.
func (f *fixture) keepsNumbered(n int) {
	f.t.Helper()
	for i := range n {
		expect.NoError(f.t, f.Append(f.t.Context(), numbered(fmt.Sprint(i)), attempted))
	}
}

// use uses a spool for a while, and records what its user knows. Each append may fail.
func (f *fixture) use(m *memory, prefix string) {
	f.t.Helper()
	add := func(id string) {
		if f.Append(f.t.Context(), numbered(id), attempted) == nil {
			m.note("kept %s", id)
		}
	}
	for i := range 12 {
		add(fmt.Sprint(prefix, i))
		if i%4 == 3 {
			add(fmt.Sprint("q", prefix, i))
		}
	}
	settle := func(kind publish.Kind, limit int) {
		records, err := f.Next(kind, 0, limit, maxBytes)
		if err != nil || len(records) == 0 {
			return
		}
		aside := make(map[uint64]string)
		for i, r := range records {
			if i%3 == 1 {
				m.note("setting aside %s", r.ID)
				aside[r.Seq] = "because of " + r.ID
			} else {
				m.note("settling %s", r.ID)
			}
		}
		_ = f.Settle(kind, withReasons(records, aside))
	}
	settle(publish.Event, 8)
	settle(publish.Quarantined, 2)
	add(prefix + "-between")
	if aside, err := f.SetAside(0, 2); err == nil && len(aside) == 2 {
		m.note("settling %s", aside[1].ID)
		_ = f.Discard([]uint64{aside[1].Seq})
	}
	add(prefix + "-last")
}

// crashed opens a spool after a crash and checks that it has all that was acknowledged.
func crashed(t *testing.T, what string, m *memory, kept, settling, aside map[string]bool, loud bool) {
	t.Helper()
	f := open(t, "spool", on(m))
	found := make(map[string]bool)
	last := make(map[string]uint64)
	for _, k := range f.everything() {
		if _, ok := found[k.ID]; ok {
			t.Errorf("%s: %s is there twice", what, k.ID)
		}
		found[k.ID] = true
		want := numbered(k.ID)
		if !bytes.Equal(k.Data, want.Data) || k.Kind != want.Kind || k.Subject != want.Subject || !k.Arrived.Equal(arrived) {
			t.Errorf("%s: %s isn't as it was appended", what, k.ID)
		}
		if k.Aside && k.Reason != "because of "+k.ID {
			t.Errorf("%s: %s is set aside for the reason %q", what, k.ID, k.Reason)
		}
		queue := fmt.Sprint(k.Kind, k.Aside)
		if !k.Aside && k.Seq <= last[queue] {
			t.Errorf("%s: %d comes after %d", what, k.Seq, last[queue])
		}
		last[queue] = k.Seq
	}
	for id := range kept {
		if _, ok := found[id]; !ok && !settling[id] {
			t.Errorf("%s: %s was acknowledged and is lost", what, id)
		}
	}
	for id := range aside {
		if _, ok := found[id]; !ok && kept[id] && !settling[id] {
			t.Errorf("%s: %s was to be set aside and is lost", what, id)
		}
	}
	if n := f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n > 0 && !loud {
		t.Errorf("%s: the next start finds fault: %v", what, f.logs.All())
	}
	total := f.Len(publish.Event) + f.Len(publish.Quarantined) + f.Stats().SetAside
	if total != int64(len(found)) {
		t.Errorf("%s: %d records are counted, %d are there", what, total, len(found))
	}
	if err := f.Append(t.Context(), numbered("new"), attempted); err != nil {
		t.Errorf("%s: it takes nothing: %v", what, err)
	}
	f.close()
	f = open(t, "spool", on(m))
	if n := f.Len(publish.Event) + f.Len(publish.Quarantined) + f.Stats().SetAside; n != total+1 {
		t.Errorf("%s: after another start there are %d records, not %d", what, n, total+1)
		for _, k := range f.everything() {
			t.Log(k.Seq, k.ID, k.Aside)
		}
		t.Log(found, f.logs.All())
		for path, i := range m.live {
			t.Log(path, len(i.live))
		}
	}
	f.close()
}

// TestCrashAtEachByte ends the process and the machine after each call, and after each byte that is
// written.
func TestCrashAtEachByte(t *testing.T) {
	recorded := newMemory()
	f := open(t, "spool", on(recorded))
	f.use(recorded, "a")
	f.close()
	expect.NoError(t, recorded.remove("spool/mark")) // so that the next start makes the files durable
	f = open(t, "spool", on(recorded))               // and another run, on what is there
	f.use(recorded, "b")
	f.close()
	if len(recorded.violated) > 0 {
		t.Error(recorded.violated)
	}
	random := rand.New(rand.NewPCG(1, 2))
	state := newMemory()
	states := 0
	for _, c := range recorded.calls {
		kept, settling, aside := state.notes("kept"), state.notes("settling"), state.notes("setting aside")
		check := func(what string, m *memory) {
			t.Helper()
			states++
			crashed(t, what, m, kept, settling, aside, false)
			if t.Failed() {
				t.FailNow()
			}
		}
		at := fmt.Sprintf("call %d, %s %s %s", len(state.calls), c.name, c.path, c.note)
		if c.name == "pwrite" {
			step := 1
			if len(c.data) == markBytes {
				step = 5
			}
			for n := 0; n < len(c.data); n += step {
				partly := state.clone()
				part := c
				part.data = c.data[:n]
				partly.apply(part)
				check(fmt.Sprintf("%s, %d of %d bytes", at, n, len(c.data)), partly)
			}
		}
		state.calls = append(state.calls, c)
		state.apply(c)
		kept, settling, aside = state.notes("kept"), state.notes("settling"), state.notes("setting aside")
		check("behind "+at, state.clone())
		check("power lost behind "+at, state.clone().afterPowerLoss(nil))
		for range 3 {
			check("power lost, with some sectors, behind "+at, state.clone().afterPowerLoss(random))
		}
	}
	t.Logf("%d calls, %d states of the disk", len(recorded.calls), states)
}

// TestCutAtEachByte truncates each file at each byte: everything before is there, and a loss of
// acknowledged records is reported.
func TestCutAtEachByte(t *testing.T) {
	m := newMemory()
	f := open(t, "spool", on(m))
	f.keepsNumbered(12)
	f.close()
	for path, i := range m.live {
		if !strings.HasSuffix(path, format) {
			continue
		}
		for n := range len(i.live) {
			cut := m.clone()
			cut.live[path].live = i.live[:n]
			kept := make(map[string]bool)
			for _, of := range cut.live {
				for i := range 12 {
					if bytes.Contains(of.live, numbered(fmt.Sprint(i)).Data) {
						kept[fmt.Sprint(i)] = true
					}
				}
			}
			crashed(t, fmt.Sprintf("%s cut at %d", path, n), cut, kept, nil, nil, true)
			if t.Failed() {
				t.FailNow()
			}
		}
	}
}

// TestEachCallOfMemoryFails makes each call fail in turn: once, or from then on.
func TestEachCallOfMemoryFails(t *testing.T) {
	for _, name := range []string{"open", "creat", "pwrite", "fsync", "fsyncdir", "rename", "unlink", "ftruncate"} {
		for _, failure := range []error{errIO, &os.PathError{Op: name, Path: "memory", Err: syscall.ENOSPC}} {
			for _, forever := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %v %v", name, errors.Unwrap(failure), forever), func(t *testing.T) {
					reached := true
					for n := 1; reached && n < 200; n++ {
						reached = oneCallFails(t, name, failure, n, forever)
						if t.Failed() {
							t.Fatalf("at number %d", n)
						}
					}
				})
			}
		}
	}
}

func oneCallFails(t *testing.T, name string, failure error, n int, forever bool) (reached bool) {
	m := newMemory()
	seen := 0
	m.fails = func(c call) error {
		if c.name != name {
			return nil
		}
		if seen++; seen == n || forever && seen > n {
			reached = true
			return failure
		}
		return nil
	}
	s, err := Open(open(t, "elsewhere", on(newMemory())).config.on(m))
	expect.NoError(t, err)
	f := &fixture{Spool: s, t: t}
	f.use(m, "a")
	_ = f.Close(t.Context())
	m.fails = nil
	if len(m.violated) > 0 {
		t.Error(m.violated)
	}
	kept, settling, aside := m.notes("kept"), m.notes("settling"), m.notes("setting aside")
	crashed(t, "afterwards", m.clone(), kept, settling, aside, false)
	crashed(t, "power lost", m.clone().afterPowerLoss(nil), kept, settling, aside, false)
	return reached
}

func (c Config) on(m *memory) Config {
	c.disk, c.Dir = m, "spool"
	return c
}
