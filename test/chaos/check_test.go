package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// steady is a machine that is never late, or always by as much.
type steady time.Duration

func (s steady) excess(time.Time, time.Time) time.Duration { return time.Duration(s) }

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// book is a ledger with one sender's deliveries to one bridge, each answered after a millisecond.
func book(r rules, said ...string) *ledger {
	l := &ledger{rules: r, tally: &tally{}, control: steady(0), entries: make(map[string]*entry), answers: make(map[life]map[string]int)}
	for i, s := range said {
		sent := noon.Add(time.Duration(i) * time.Second)
		sends(l, post{id: fmt.Sprint(i), sum: uint64(i)}, i, answer{sent: sent, came: sent.Add(time.Millisecond)}, s)
	}
	return l
}

// sends has a delivery sent and answered; said is a status and a code, or "" for none.
func sends(l *ledger, p post, number int, a answer, said string) {
	a.life = life{"bridge", 1}
	if _, err := fmt.Sscan(said, &a.status, &a.code); err != nil {
		a.err = errors.New("connection reset")
	}
	if a.status == 200 && a.id == "" {
		a.id = p.id
	}
	l.sends(p, 0, number)
	l.answered(p, a)
}

// stream has the deliveries of these numbers.
func stream(numbers ...int) (all []stored) {
	for i, n := range numbers {
		all = append(all, stored{id: fmt.Sprint(n), inside: fmt.Sprint(n), sum: uint64(n), sequence: uint64(i + 1)})
	}
	return all
}

// Whatever breaks a promise is found.
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
		findings findings
		possible int
		want     []string // a part of each violation
	}{
		"all is well":           {said: []string{ok, "200 spooled", "200 duplicate"}, findings: findings{events: stream(0, 1, 2)}},
		"one is lost":           {said: []string{ok, ok}, findings: findings{events: stream(0)}, want: []string{"event 1 is lost"}},
		"in a spool":            {said: []string{ok, "200 spooled"}, findings: findings{events: stream(0), spooled: map[string]bool{"1": true}}},
		"stored twice":          {said: []string{ok, ok}, findings: findings{events: stream(0, 1, 0)}, want: []string{"event 0 is stored twice"}},
		"stored thrice":         {said: []string{ok}, findings: findings{events: stream(0, 0, 0)}, want: []string{"stored twice", "stored twice"}},
		"twice, and announced":  {said: []string{ok}, findings: findings{events: stream(0, 0)}, possible: 1},
		"never sent":            {said: []string{ok}, findings: findings{events: stream(0, 5)}, want: []string{"5, which nobody sent"}},
		"forged, and stored":    {said: []string{ok, "401 signature"}, kind: forged, findings: findings{events: stream(0, 1)}, want: []string{"message 2 is unsigned"}},
		"forged, and kept":      {said: []string{"401 signature"}, kind: forged, findings: findings{quarantined: stream(0)}, want: []string{"message 1 is unsigned"}},
		"forged, and accepted":  {said: []string{ok}, kind: forged, want: []string{"forged 0 was answered 200 stored"}},
		"altered":               {said: []string{ok, ok}, findings: findings{events: altered}, want: []string{"isn't what was sent: 1"}},
		"another id inside":     {said: []string{ok, ok}, findings: findings{events: renamed}, want: []string{"message 2 is no event"}},
		"a 503 promises none":   {said: []string{"503 unavailable"}},
		"a 503, and stored":     {said: []string{"503 unavailable"}, findings: findings{events: stream(0)}},
		"no fault excuses it":   {rules: rules{lossless: true}, said: []string{"503 unavailable"}, want: []string{"never promised"}},
		"no answer":             {said: []string{""}, want: []string{"no answer of bridge"}},
		"another answer":        {said: []string{"500 internal"}, want: []string{"answered 500 internal"}},
		"stale, and kept":       {said: []string{"401 stale"}, kind: stale, findings: findings{quarantined: stream(0)}},
		"stale, and lost":       {said: []string{"401 stale"}, kind: stale, want: []string{"stale 0 is lost"}},
		"stale, among events":   {said: []string{"401 stale"}, kind: stale, findings: findings{events: stream(0)}, want: []string{"is no event"}},
		"with a deleted stream": {said: []string{ok, ok}, findings: findings{events: stream(1), deleted: []time.Time{noon.Add(time.Second)}}},
		"after it was deleted":  {said: []string{ok, ok}, findings: findings{events: stream(0), deleted: []time.Time{noon.Add(time.Second)}}, want: []string{"event 1 is lost"}},
		"out of order":          {said: []string{ok, ok}, findings: findings{events: stream(1, 0), orderly: map[string]bool{"bridge": true}}, want: []string{"1, sent later, is message 1"}},
		"out of order, excused": {said: []string{ok, ok}, findings: findings{events: stream(1, 0)}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := book(test.rules, test.said[:len(test.said)-1]...)
			last := len(test.said) - 1
			sends(l, post{kind: test.kind, id: fmt.Sprint(last), sum: uint64(last)}, last, answer{sent: noon.Add(time.Duration(last) * time.Second), came: noon.Add(time.Duration(last)*time.Second + 1)}, test.said[last])
			l.tally.add(possible, test.possible)
			l.check(test.findings)
			expect(t, l, test.want...)
		})
	}
}

func expect(t *testing.T, l *ledger, want ...string) {
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
			l.control = test.machine
			sends(l, post{id: "a"}, 0, answer{sent: noon, came: noon.Add(test.took), excused: test.excused}, "200 stored")
			expect(t, l, test.want...)
		})
	}
}

// Another id than the delivery's own is a violation, as two bridges would not agree.
func TestWrongID(t *testing.T) {
	t.Parallel()
	l := book(rules{})
	sends(l, post{id: "a"}, 0, answer{sent: noon, came: noon, id: "b"}, "200 stored")
	expect(t, l, "event a was given the id b")
}

// A run that met nothing is a failure.
func TestReportWantsMet(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := newReport(&out, options{seed: 5})
	for _, s := range scenarios {
		r.add(result{scenario: s, tally: &tally{}})
	}
	if err := r.end(0); err == nil || !strings.Contains(out.String(), "didn't meet what it came for: "+promises+", "+ambiguous) {
		t.Errorf("%v\n%s", err, out.String())
	}
	for _, what := range met {
		r.tally.add(what, 1)
	}
	if err := r.end(0); err != nil {
		t.Error(err)
	}
	r.add(result{scenario: scenarios[0], seed: 9, tally: &tally{}, violations: []string{"one is lost"}})
	if err := r.end(0); err == nil || !strings.Contains(out.String(), command(scenarios[0].name, 9)) {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// Series are read as the bridge writes them.
func TestMetricsSum(t *testing.T) {
	t.Parallel()
	m := metrics{`a_total{kind="event",way="direct"}`: 1, `a_total{kind="event",way="spool"}`: 2, "a_total_more": 4, "b": 8}
	got := []float64{m.sum("a_total"), m.sum("a_total", `way="spool"`), m.sum("b"), m.sum("c")}
	if diff := cmp.Diff([]float64{3, 2, 8, 0}, got); diff != "" {
		t.Error(diff)
	}
	if got := label(`a_total{kind="event",way="direct"}`, "way"); got != "direct" {
		t.Errorf("way %q", got)
	}
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
