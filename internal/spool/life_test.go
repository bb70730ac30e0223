package spool

import (
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"
	"pgregory.net/rapid"

	"github.com/ade15e70/webhook-bridge/internal/publish"
)

// TestLives leads random lives of spools on disks that fail, with a few messages that come again and again.
// It checks that no acknowledged record is lost, whatever fails and whenever the power does; that none comes
// twice before a process is killed, a call fails, or a message comes during a recovery; that all counts are
// right; and that nothing is written to a file after a call has failed.
//
// It leads 20 times as many lives as -rapid.checks says, which is 100. For more:
//
//	go test -run TestLives ./internal/spool -rapid.checks 1000
//
// A failure prints the shortest life that fails, and its seed.
func TestLives(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // each recovery makes a set of ids of 400 KB
	for range 20 {
		rapid.Check(t, func(t *rapid.T) { rapid.SyncTest(t, lead) })
	}
}

// life is a spool, its disk, and what its user knows.
type life struct {
	f    *fixture // nil while it is opened
	disk *memory
	owed map[string]bool // acknowledged, and not delivered since
	held []Record        // returned by Next some time ago

	isGood                     bool // the disk never fails
	isKilled, isLate, isFaulty bool // a process was killed; a message came during a recovery; a call has failed

	faults

	cut       *memory // the disk as it was before a call
	callsLeft int     // how many until then
}

func lead(t *rapid.T) {
	l := &life{disk: newMemory(), owed: make(map[string]bool), faults: faults{broken: make(map[int]string), doubtful: make(map[string]map[int]bool)}}
	actions := map[string]func(*rapid.T){
		"":            l.check,
		"append":      l.append,
		"append more": l.append,
		"settle":      l.settle,
		"discard":     l.discard,
		"read again":  l.readAgain,
		"end":         l.end,
		"cut":         l.cutShort,
	}
	if l.isGood = rapid.IntRange(0, 3).Draw(t, "disk") == 0; !l.isGood {
		maps.Copy(actions, map[string]func(*rapid.T){"damage": l.damage, "fail": l.fail, "refuse": l.refuse})
	}
	defer l.goOn() // else a failure during a slow recovery couldn't be reported
	l.start(t)
	t.Repeat(actions)
	l.heal()
	l.endAs(t, "power lost", l.disk)
	l.goOn()
	l.check(t)
}

var lifeIDs = []string{"a", "b", "q"}

func (l *life) append(t *rapid.T) {
	l.add(t, rapid.SampledFrom(lifeIDs).Draw(t, "id"), rapid.IntRange(1, 3).Draw(t, "times"))
}

func (l *life) add(t *rapid.T, id string, times int) {
	m := numbered(id)
	l.isLate = l.isLate || l.f.recovering.Load()
	for i := range times {
		before := l.f.Stats().FileBytes
		err := l.f.Append(t.Context(), m, attempted)
		l.wait()
		t.Logf("append: %v", err)
		if err != nil {
			return
		}
		if after := l.f.Stats().FileBytes; i > 0 && after != before {
			t.Fatalf("what was acknowledged just before is written again: %d bytes", after-before)
		}
		l.owed[m.ID] = true
	}
}

// settle settles records that Next returns, or has returned some time ago.
func (l *life) settle(t *rapid.T) {
	if len(l.held) == 0 || rapid.Bool().Draw(t, "fresh") {
		kind := rapid.SampledFrom([]publish.Kind{publish.Event, publish.Event, publish.Quarantined}).Draw(t, "kind")
		var err error
		l.held, err = l.f.Next(kind, 0, rapid.IntRange(1, 5).Draw(t, "limit"), maxBytes)
		t.Logf("next: %v, %v", idsOf(l.held), err)
	}
	if !rapid.Bool().Draw(t, "later") {
		l.settleHeld(t, some(t, "delivered", l.held))
	}
}

func (l *life) settleHeld(t *rapid.T, delivered []bool) {
	if len(l.held) == 0 {
		return
	}
	for i, r := range l.held {
		if l.held[i].Reason = ""; !delivered[i] {
			l.held[i].Reason = "because of " + r.ID
		}
	}
	err := l.f.Settle(l.held[0].Kind, l.held)
	t.Logf("settle: %v", err)
	if err == nil {
		l.forget(l.held, delivered)
		l.held = nil
	}
}

// settleAll delivers all events, or sets them aside.
func (l *life) settleAll(t *rapid.T, isDelivered bool) {
	l.held, _ = l.f.Next(publish.Event, 0, 10, maxBytes)
	l.settleHeld(t, slices.Repeat([]bool{isDelivered}, len(l.held)))
	l.wait()
}

func (l *life) discard(t *rapid.T) {
	records, _ := l.f.SetAside(0, 10)
	discarded := some(t, "discarded", records)
	var seqs []uint64
	for i, r := range records {
		if discarded[i] {
			seqs = append(seqs, r.Seq)
		}
	}
	if len(seqs) > 0 && l.f.Discard(seqs) == nil {
		l.forget(records, discarded)
	}
}

func some(t *rapid.T, name string, records []Record) []bool {
	return rapid.SliceOfN(rapid.Bool(), len(records), len(records)).Draw(t, name)
}

// forget notes that the spool may forget some records.
func (l *life) forget(records []Record, some []bool) {
	for i, r := range records {
		if some[i] {
			delete(l.owed, r.ID)
			delete(l.doubtful, r.ID)
		}
	}
}

// readAgain has the spool read its files again, or has a slow recovery go on.
func (l *life) readAgain(t *rapid.T) {
	l.goOn()
	l.wait()
	l.slowDown(t)
	l.f.recoverAgain()
	l.wait()
}

func (l *life) slowDown(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "slow") == 3 {
		l.disk.slow.Store(new(make(chan struct{})))
	}
}

func (l *life) goOn() {
	if slow := l.disk.slow.Swap(nil); slow != nil {
		close(*slow)
	}
}

// wait waits until the spool has nothing to do.
func (l *life) wait() {
	if synctest.Wait(); !l.f.recovering.Load() {
		l.goOn()
	}
}

// end ends the process, and perhaps the machine.
func (l *life) end(t *rapid.T) {
	how := rapid.SampledFrom([]string{"closed", "killed", "power lost", "power lost, some sectors written"}).Draw(t, "end")
	if rapid.Bool().Draw(t, "heals") {
		l.heal()
	}
	l.endAs(t, how, l.disk)
}

// cutShort ends the process before some call of another action.
func (l *life) cutShort(t *rapid.T) {
	before := maps.Clone(l.owed)
	l.cut, l.callsLeft = l.disk, rapid.IntRange(1, 8).Draw(t, "calls")
	actions := map[string]func(*rapid.T){"append": l.append, "settle": l.settle, "discard": l.discard, "read again": l.readAgain}
	actions[rapid.SampledFrom(slices.Sorted(maps.Keys(actions))).Draw(t, "action")](t)
	l.wait()
	maps.DeleteFunc(l.owed, func(id string, _ bool) bool { return !before[id] })
	l.endAs(t, rapid.SampledFrom([]string{"killed", "power lost"}).Draw(t, "end"), l.cut)
}

// endAs ends the process, and starts the next one on what is left of a disk.
func (l *life) endAs(t *rapid.T, how string, left *memory) {
	switch how {
	case "closed":
		l.goOn()
		l.f.close()
		left = left.clone()
	case "killed":
		left = left.clone()
	case "power lost":
		left = left.afterPowerLoss(nil)
	default:
		left = left.afterPowerLoss(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "sectors"), 0)))
	}
	l.isKilled = l.isKilled || how != "closed"
	l.disk.fails = nil
	l.goOn()
	l.f.close()
	if len(l.disk.violated) > 0 {
		t.Fatal(l.disk.violated)
	}
	l.trust(left)
	l.disk, l.f, l.held = left, nil, nil
	if !l.isGood && rapid.IntRange(0, 2).Draw(t, "damage") == 2 {
		l.change(t)
	}
	l.start(t)
}

func (l *life) start(t *rapid.T) {
	l.disk.fails, l.misread = l.fails, false
	l.slowDown(t)
	size := rapid.SampledFrom([]int64{700, 1500, 400, 150, 100}).Draw(t, "segment size")
	patience := rapid.SampledFrom([]time.Duration{1, 2 * tick}).Draw(t, "patience")
	l.f = open(t, "spool", on(l.disk), func(c *Config) { c.segmentSize, c.openPatience, c.ReadPatience = size, openPatience, patience })
}

// check compares the spool with what its user knows.
func (l *life) check(t *rapid.T) {
	for range 6 {
		l.wait()
		for id := range l.owed {
			if l.f.loaded && !l.f.Holds(numbered(id).Kind, id) {
				t.Fatalf("%s was acknowledged, and isn't held", id)
			}
		}
		if !l.f.loaded || l.f.recovering.Load() {
			return
		}
		recoveries, counted, is := l.f.recoveries, l.f.Stats(), Stats{}
		all, err := l.f.listing()
		l.wait()
		for _, k := range all {
			if is.Bytes += k.size; k.Aside {
				is.SetAside++
			} else {
				is.Queued[k.Kind]++
			}
		}
		isRight := is.Bytes == counted.Bytes && is.SetAside == counted.SetAside && is.Queued == counted.Queued
		if err == nil && isRight && l.f.recoveries == recoveries {
			l.compare(t, all)
			return
		}
		if !l.misread {
			t.Fatalf("it counts %+v; there are %+v: %v", counted, is, err)
		}
		l.misread = false // what can't be read at one time can be at another
		l.f.recoverAgain()
	}
	t.Fatal("it reads its files again and again")
}

func (l *life) compare(t *rapid.T, all []kept) {
	found := make(map[string]int)
	for _, k := range all {
		found[k.ID]++
	}
	for _, id := range lifeIDs {
		n, isOwed, isHeld := found[id], l.owed[id], l.f.Holds(numbered(id).Kind, id)
		switch {
		case isOwed && n == 0:
			t.Fatalf("%s was acknowledged and is lost", id)
		case n > 1 && !l.isFaulty:
			t.Fatalf("%s is there twice", id)
		case n > 0 && !isOwed && !l.isFaulty && !l.isKilled && !l.isLate:
			t.Fatalf("%s comes again", id)
		case isHeld != (n > 0):
			t.Fatalf("%s is held: %v; it is there %d times", id, isHeld, n)
		}
	}
	if logged := l.f.logs.FilterLevelExact(zapcore.ErrorLevel).All(); len(logged) > 0 && !l.isFaulty {
		t.Fatal(logged)
	}
}
