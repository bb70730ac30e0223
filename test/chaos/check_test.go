//go:build linux

package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// steady is a machine that is never late, or always by the same amount.
type steady time.Duration

func (s steady) stood(string, time.Time, time.Time) time.Duration { return time.Duration(s) }

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// book is a ledger with one sender's deliveries to one bridge, each answered after a millisecond.
func book(r rules, said ...string) *ledger {
	l := &ledger{rules: r, tally: &tally{}, machine: steady(0), entries: make(map[string]*entry), keptAs: make(map[string]string), answers: make(map[life]*answers)}
	for i, s := range said {
		sent := noon.Add(time.Duration(i) * time.Second)
		sends(l, post{id: fmt.Sprint(i), sum: uint64(i)}, i, answer{sent: sent, came: sent.Add(time.Millisecond)}, s)
	}
	return l
}

// sends records a delivery and its answer: said is a status and a code, or "" for none.
func sends(l *ledger, p post, number int, a answer, said string) {
	a.life, a.began = life{"bridge", 1}, a.sent
	if _, err := fmt.Sscan(said, &a.status, &a.code); err != nil {
		a.err = errors.New("connection reset")
	}
	if a.status == 200 && a.id == "" {
		a.id = p.id
	}
	l.sends(p, 0, number)
	l.answered(p, a)
}

// stream returns a stream with the deliveries of these numbers.
func stream(numbers ...int) (all []stored) {
	for i, n := range numbers {
		all = append(all, stored{id: fmt.Sprint(n), inside: fmt.Sprint(n), sum: uint64(n), sequence: uint64(i + 1)})
	}
	return all
}

// Each broken promise is found.
func TestCheck(t *testing.T) {
	t.Parallel()
	const ok = "200 stored"
	altered := stream(0, 1)
	altered[1].sum = 77
	renamed := stream(0, 1)
	renamed[1].inside = "0"
	tests := map[string]struct {
		rules    rules
		said     []string
		kind     kind // of the last one
		excused  string
		findings findings
		possible int
		want     []string // a part of each violation
	}{
		"all is well":           {said: []string{ok, "200 spooled", "200 duplicate"}, findings: findings{events: stream(0, 1, 2)}},
		"one is lost":           {said: []string{ok, ok}, findings: findings{events: stream(0)}, want: []string{"event 1 is lost"}},
		"set aside":             {rules: rules{asides: true}, said: []string{ok, "200 spooled"}, findings: findings{events: stream(0), spooled: ids("1")}},
		"set aside by mistake":  {said: []string{ok, ok, ok, ok}, findings: findings{spooled: ids("0", "1", "2", "3")}, want: []string{"4 records are set aside"}},
		"spooled, never sent":   {said: []string{ok}, findings: findings{events: stream(0), spooled: ids("5")}, want: []string{"a spool lists 5, which nobody sent"}},
		"forged, and spooled":   {said: []string{"401 signature"}, kind: forged, findings: findings{spooled: ids("0")}, want: []string{"forged 0 lies in a spool"}},
		"before any sync":       {rules: rules{atLeast: map[string]time.Duration{"spooled": time.Second}}, said: []string{"200 spooled"}, findings: findings{events: stream(0)}, want: []string{"when nothing can have been synced"}},
		"stored twice":          {said: []string{ok, ok}, findings: findings{events: stream(0, 1, 0)}, want: []string{"event 0 is stored twice"}},
		"stored thrice":         {said: []string{ok}, findings: findings{events: stream(0, 0, 0)}, want: []string{"stored twice", "stored twice"}},
		"twice, and announced":  {said: []string{ok}, findings: findings{events: stream(0, 0)}, possible: 1},
		"never sent":            {said: []string{ok}, findings: findings{events: stream(0, 5)}, want: []string{"5, which nobody sent"}},
		"forged, and stored":    {said: []string{ok, "401 signature"}, kind: forged, findings: findings{events: stream(0, 1)}, want: []string{"message 2 is unsigned"}},
		"forged, and kept":      {said: []string{"401 signature"}, kind: forged, findings: findings{quarantined: stream(0)}, want: []string{"message 1 is unsigned"}},
		"forged, and accepted":  {said: []string{ok}, kind: forged, want: []string{"forged 0 was answered 200 stored"}},
		"altered":               {said: []string{ok, ok}, findings: findings{events: altered}, want: []string{"isn't what was sent: 1"}},
		"another id inside":     {said: []string{ok, ok}, findings: findings{events: renamed}, want: []string{"message 2 is no event"}},
		"a 503 promises none":   {rules: rules{refuses: true}, said: []string{"503 unavailable"}},
		"a 503, and stored":     {rules: rules{refuses: true}, said: []string{"503 unavailable"}, findings: findings{events: stream(0)}},
		"a 503, and room":       {said: []string{"503 unavailable"}, want: []string{"whose spool has room"}},
		"a 503 after a pause":   {said: []string{"503 unavailable"}, excused: paused},
		"no fault excuses it":   {rules: rules{lossless: true, refuses: true}, said: []string{"503 unavailable"}, want: []string{"never promised"}},
		"no answer":             {said: []string{""}, want: []string{"no answer of bridge"}},
		"another answer":        {said: []string{"500 internal"}, want: []string{"answered 500 internal"}},
		"stale, and kept":       {said: []string{"401 stale"}, kind: stale, findings: findings{quarantined: stream(0)}},
		"stale, and lost":       {said: []string{"401 stale"}, kind: stale, want: []string{"stale 0 is lost"}},
		"stale, among events":   {said: []string{"401 stale"}, kind: stale, findings: findings{events: stream(0)}, want: []string{"is no event"}},
		"with a deleted stream": {said: []string{ok, ok}, findings: findings{events: stream(1), deleted: deletedAt(noon.Add(time.Minute), "0")}},
		"just before":           {said: []string{ok, ok}, findings: findings{events: stream(1), deleted: deletedAt(noon.Add(time.Millisecond))}},
		"never in that stream":  {said: []string{ok, ok}, findings: findings{events: stream(1), deleted: deletedAt(noon.Add(time.Minute), "1")}, want: []string{"event 0 is lost"}},
		"after it was deleted":  {said: []string{ok, ok}, findings: findings{events: stream(0), deleted: deletedAt(noon.Add(time.Second), "0")}, want: []string{"event 1 is lost"}},
		"out of order":          {said: []string{ok, ok}, findings: findings{events: stream(1, 0), orderly: map[string]bool{"bridge": true}}, want: []string{"1, sent later, is message 1"}},
		"out of order, excused": {said: []string{ok, ok}, findings: findings{events: stream(1, 0)}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := book(test.rules, test.said[:len(test.said)-1]...)
			last := len(test.said) - 1
			sends(l, post{kind: test.kind, id: fmt.Sprint(last), sum: uint64(last)}, last, answer{sent: noon.Add(time.Duration(last) * time.Second), came: noon.Add(time.Duration(last)*time.Second + 1), excused: test.excused}, test.said[last])
			l.tally.add(possible, test.possible)
			l.check(test.findings)
			l.judgeDoubts()
			violates(t, l, test.want...)
		})
	}
}

func deletedAt(t time.Time, had ...string) []deletion {
	return []deletion{{had: ids(had...), looked: t, done: t}}
}

func ids(all ...string) map[string]bool {
	set := make(map[string]bool)
	for _, id := range all {
		set[id] = true
	}
	return set
}

// A delivery whose sender hung up after sending all of it is kept, if the bridge kept running.
func TestHungUp(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		steady bool
		half   bool
		events []stored
		want   []string
	}{
		"kept":              {steady: true, events: stream(0)},
		"dropped":           {steady: true, want: []string{"event 0 was dropped by bridge when its sender hung up"}},
		"the bridge went":   {},
		"only a half of it": {steady: true, half: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := book(rules{})
			sends(l, post{id: "0"}, 0, answer{sent: noon, came: noon, excused: hungUp, whole: !test.half}, "")
			l.check(findings{events: test.events, steady: map[string]bool{"bridge": test.steady}})
			violates(t, l, test.want...)
		})
	}
}

// A bridge has counted the answers that its senders got, and besides only deliveries without an
// answer.
func TestCompare(t *testing.T) {
	t.Parallel()
	const stored, wrong, contradicts = `webhook_bridge_deliveries_total{outcome="stored"}`, `webhook_bridge_deliveries_total{outcome="signature_wrong"}`, `webhook_bridge_deliveries_total{outcome="contradiction"}`
	const durations, kept, verified = "webhook_bridge_delivery_duration_seconds_count", "webhook_bridge_quarantined_total", "webhook_bridge_signatures_verified_total"
	said := &answers{outcomes: map[string]int{"stored": 5, "signature": 2, "contradiction": 1}, signed: 6, kept: 1, unanswered: 1}
	right := metrics{stored: 5, wrong: 2, contradicts: 1, durations: 8, kept: 1, verified: 6}
	if err := compare(right, said); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]metrics{
		"too few":                    {stored: 4, durations: 7},
		"one without an answer":      {stored: 7, durations: 9},
		"another outcome":            {wrong: 3, contradicts: 0},
		"a duration less":            {durations: 7},
		"more kept than were":        {kept: 3},
		"fewer verified than proven": {verified: 5},
	} {
		m := maps.Clone(right)
		maps.Copy(m, change)
		if compare(m, said) == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func violates(t *testing.T, l *ledger, want ...string) {
	t.Helper()
	if len(l.violations) != len(want) {
		t.Fatalf("violations: %q; want %q", l.violations, want)
	}
	for i, v := range l.violations {
		if !strings.Contains(v, want[i]) {
			t.Errorf("violation %q; want %q", v, want[i])
		}
	}
}

// An answer may be as late as the machine itself, and no later.
func TestLate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		took    time.Duration
		machine steady
		excused string
		want    []string
	}{
		"in time":              {took: time.Second},
		"late":                 {took: 1001 * time.Millisecond, want: []string{"answered 200 stored after 1.001s"}},
		"the machine was, too": {took: 1001 * time.Millisecond, machine: steady(time.Millisecond)},
		"later than it":        {took: 1100 * time.Millisecond, machine: steady(time.Millisecond), want: []string{"after 1.1s"}},
		"paused":               {took: time.Minute, excused: paused},
		"late while it stops":  {took: 1001 * time.Millisecond, excused: stopping, want: []string{"after 1.001s"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := book(rules{})
			l.machine = test.machine
			sends(l, post{id: "a"}, 0, answer{sent: noon, came: noon.Add(test.took), excused: test.excused}, "200 stored")
			l.judgeDoubts()
			violates(t, l, test.want...)
		})
	}
}

// An id other than the delivery's own is a violation: two bridges would not agree.
func TestWrongID(t *testing.T) {
	t.Parallel()
	l := book(rules{})
	sends(l, post{id: "a"}, 0, answer{sent: noon, came: noon, id: "b"}, "200 stored")
	violates(t, l, "event a was given the id b")
}

// A run whose fault didn't happen fails.
func TestReportWantsMet(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := newReport(&out, options{seed: 5})
	for _, s := range scenarios {
		r.add(result{scenario: s, tally: &tally{}})
	}
	if err := r.end(0); err == nil || !strings.Contains(out.String(), "didn't meet what it came for: "+promises+", "+ambiguous) {
		t.Errorf("got %v, want that the scenario didn't meet what it came for:\n%s", err, out.String())
	}
	for _, what := range met {
		r.tally.add(what, 1)
	}
	if err := r.end(0); err != nil {
		t.Error(err)
	}
	r.tally.add(unjudged, 1)
	if err := r.end(0); err == nil || !strings.Contains(out.String(), "stood still too often") {
		t.Errorf("got %v, want that the machine stood still too often:\n%s", err, out.String())
	}
	r.tally.add(deliveries, 1000)
	if err := r.end(0); err != nil {
		t.Error(err)
	}
	r.add(result{scenario: scenarios[0], seed: 9, tally: &tally{}, violations: []string{"one is lost"}})
	if err := r.end(0); err == nil || !strings.Contains(out.String(), command(scenarios[0].name, 9)) {
		t.Errorf("got %v, want the command that runs it again:\n%s", err, out.String())
	}
}

// Series are read as the bridge writes them.
func TestMetricsSum(t *testing.T) {
	t.Parallel()
	m := metrics{`a_total{kind="event",way="direct"}`: 1, `a_total{kind="event",way="spool"}`: 2, "a_total_more": 4, "b": 8}
	got := []float64{m.sum("a_total"), m.sum("a_total", `way="spool"`), m.sum("b"), m.sum("c")}
	expect.Equal(t, []float64{3, 2, 8, 0}, got, "the sums")
	expect.Equal(t, "direct", label(`a_total{kind="event",way="direct"}`, "way"), "the label way")
}

// A scenario is found by its name.
func TestScenariosDiffer(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, s := range scenarios {
		if seen[s.name] || s.about == "" || s.faults == nil || s.bridges == 0 {
			t.Errorf("scenario %q: given twice, or not whole", s.name)
		}
		seen[s.name] = true
	}
}

// Only the machine's delays between two moments count.
func TestExcess(t *testing.T) {
	t.Parallel()
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	c := &control{late: []window{{from: at(0), to: at(100)}, {from: at(200), to: at(300)}}}
	for _, test := range []struct{ from, to, want int }{{-50, -10, 0}, {0, 300, 200}, {50, 250, 100}, {100, 200, 0}, {250, 900, 50}} {
		expect.Equal(t, time.Duration(test.want)*time.Millisecond, c.excess(at(test.from), at(test.to)), "between %d and %d ms", test.from, test.to)
	}
}

// A process' wait for a core counts from the sample before to the sample after, and not beyond its
// end.
func TestStarvation(t *testing.T) {
	t.Parallel()
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	s := starvation{samples: []starved{{at(0), 1, 0}, {at(100), 1, 10}, {at(200), 1, 50}, {at(300), 2, 5}, {at(400), 2, 7}}}
	for _, test := range []struct{ from, to, want int }{{-50, -10, 0}, {0, 100, 10}, {50, 60, 10}, {50, 150, 50}, {150, 190, 40}, {150, 350, 2}, {310, 900, 2}, {500, 600, 0}} {
		if got := s.between(at(test.from), at(test.to)); int(got) != test.want {
			t.Errorf("between %d and %d ms: %d, want %d", test.from, test.to, got, test.want)
		}
	}
	if withoutCore(os.Getpid()) <= 0 || tracerOf(os.Getpid()) != 0 {
		t.Error("Linux tells nothing of this process")
	}
}
