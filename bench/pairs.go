package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// round is the result of one round against one target.
type round struct {
	result
	cpu time.Duration // of the target's process, for each answer
}

// pair is a round of the floor and one of the bridge, one right after the other.
type pair struct{ floor, bridge round }

// pairs loads the two targets alternately. A machine's speed changes from second to second, so only
// the two rounds of one pair are compared, and many short pairs tell more than a few long ones. The
// order within a pair alternates.
func pairs(n int, each time.Duration, l load, floor, bridge *server, sweep func() error) ([]pair, error) {
	var targets [2]target
	for i, p := range []*server{floor, bridge} {
		clients, err := l.clients(p.addr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		targets[i] = target{p, clients}
		defer targets[i].close()
		if _, err := targets[i].round(l, each/2); err != nil { // warm
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	all := make([]pair, n)
	for i := range all {
		for turn := range 2 {
			which := (i + turn) % 2
			if err := sweep(); err != nil {
				return nil, err
			}
			r, err := targets[which].round(l, each)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", targets[which].Name, err)
			}
			if which == 0 {
				all[i].floor = r
			} else {
				all[i].bridge = r
			}
		}
	}
	return all, nil
}

// target is a process with the connections to it.
type target struct {
	*server
	clients []*client
}

func (t target) close() {
	for _, c := range t.clients {
		c.close()
	}
}

func (t target) round(l load, duration time.Duration) (r round, err error) {
	before, err := t.CPU()
	if err != nil {
		return round{}, err
	}
	if r.result, err = l.run(t.clients, duration); err != nil {
		return round{}, err
	}
	after, err := t.CPU()
	r.cpu = (after - before) / time.Duration(max(1, r.answers))
	return r, err
}

// median returns the median over the pairs.
func median[T cmp.Ordered](pairs []pair, of func(pair) T) T {
	values := make([]T, len(pairs))
	for i, p := range pairs {
		values[i] = of(p)
	}
	return middle(values)
}

func middle[T cmp.Ordered](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
