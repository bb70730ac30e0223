//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// heal ends every fault.
func (w *world) heal() error {
	var errs []error
	for _, s := range w.nats {
		if s.proxy == nil {
			continue
		}
		s.resume()
		errs = append(errs, s.start(), s.proxy.heal())
	}
	for _, b := range w.bridges {
		b.resume()
		errs = append(errs, b.start(w.ctx))
	}
	return errors.Join(errs...)
}

// settle waits until every spool is empty, except for records that are set aside.
func (w *world) settle() error {
	for _, b := range w.bridges {
		if err := poll.Try(w.ctx, patiently, "the spool of "+b.name+" is empty", func(ctx context.Context) error {
			n, err := b.waiting(ctx)
			if err == nil && n > 0 {
				err = fmt.Errorf("%d records wait", n)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// recovers sends deliveries to each bridge until one goes directly to the stream: no fault may
// leave a bridge that spools for ever, or isn't ready.
func (w *world) recovers() error {
	sender := len(vendors)
	for i, b := range w.bridges {
		pause := time.Duration(0)
		if err := poll.Try(w.ctx, patiently, b.name+" takes events directly again", func(ctx context.Context) error {
			p, err := compose(w.rng, anEvent, &flock.Provider, fmt.Sprintf("%s-after-%d-%d", w.load.run, i, w.tally.of(deliveries)))
			if err != nil {
				return err
			}
			w.ledger.sends(p, sender+i, w.tally.of(deliveries))
			// On a slow disk the last one leaves the spool only after a sync.
			w.passes(pause)
			a := w.load.client.attempt(b, p, vendors[0].patience, 0)
			pause = 2 * a.came.Sub(a.began)
			w.ledger.answered(p, a)
			m, err := b.scrape(ctx)
			switch {
			case a.err != nil || err != nil:
				return errors.Join(a.err, err)
			case a.code != "stored":
				return fmt.Errorf("it answered %d %s", a.status, a.code)
			case m.sum("webhook_bridge_breaker", `state="closed"`) != 1:
				return errors.New("its breaker isn't closed")
			}
			return b.ready(ctx)
		}); err != nil {
			return err
		}
	}
	w.load.client.CloseIdleConnections()
	return nil
}

// find collects the findings. The bridges run before it and don't after it.
func (w *world) find() (f findings, err error) {
	f = findings{spooled: make(map[string]bool), deleted: w.deleted, orderly: make(map[string]bool), steady: make(map[string]bool)}
	w.checkLeaks()
	for _, b := range w.bridges {
		f.steady[b.name] = len(b.away) == 0
		if err := w.checkMetrics(b); err != nil {
			w.ledger.wrong("%v", err)
		}
		m := b.counters()
		f.orderly[b.name] = b.life.Load() == 1 && failures(m, "event", "spool") == 0
	}
	w.say("goroutines and metrics are as they were")
	if f.events, err = w.outside.read(w.ctx, eventsStream); err != nil {
		return f, err
	}
	if f.quarantined, err = w.outside.read(w.ctx, quarantineStream); err != nil {
		return f, err
	}
	w.say("both streams are read")
	w.checkPublished(len(f.events), "event")
	w.checkPublished(len(f.quarantined), "quarantine", "refused")
	w.listQuarantine(len(f.quarantined))
	for _, b := range w.bridges {
		before := w.tally.of(restarts)
		if err := b.stop(); err != nil {
			w.ledger.wrong("%v", err)
		}
		w.tally.add(restarts, before-w.tally.of(restarts)) // this one is no fault
		if err := w.listSpool(b, f.spooled); err != nil {
			w.ledger.wrong("%v", err)
		}
		if err := b.blabbed(); err != nil {
			w.ledger.wrong("%v", err)
		}
		left, err := b.left("jetstream", "nats-server.lock", "lost+found")
		if err != nil {
			return f, err
		}
		if len(left) > 0 {
			w.ledger.wrong("%s has left %q", b.name, left)
		}
	}
	return f, nil
}

// output runs a command of the bridge's.
func (w *world) output(env []string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	var out, words bytes.Buffer
	cmd := exec.CommandContext(ctx, w.binaries.bridge, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &words
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("bridge %v: %w: %s", args, err, words.String())
	}
	return out.Bytes(), nil
}

var setAside = regexp.MustCompile(`  id (\S+)  set aside: `)

// listSpool records the list of `bridge spool list`: records set aside count; others are delivered
// already, and the file isn't up to date.
func (w *world) listSpool(b *bridge, into map[string]bool) error {
	out, err := w.output(b.env, "spool", "list", filepath.Join(b.dir, "spool"))
	if err != nil {
		return err
	}
	for _, record := range setAside.FindAllSubmatch(out, -1) {
		into[string(record[1])] = true
	}
	return nil
}

// listQuarantine compares `bridge quarantine list` with the stream.
func (w *world) listQuarantine(want int) {
	env := w.bridges[0].env
	if !w.isEmbedded() { // the bridge's own account may be one that can't
		env = append(slices.Clip(env), "NATS_URL=nats://"+w.nats[0].addr, "NATS_USER=admin", "NATS_PASSWORD=admin")
	}
	var out []byte
	err := poll.Try(w.ctx, patiently, "the quarantine is listed", func(context.Context) (err error) { // a cluster needs its time
		out, err = w.output(env, "quarantine", "list")
		return err
	})
	if err != nil {
		w.ledger.wrong("%v", err)
		return
	}
	if got := bytes.Count(out, []byte{'\n'}); got != want {
		w.ledger.wrong("bridge quarantine list lists %d deliveries of %d", got, want)
	}
}
