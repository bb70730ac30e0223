package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
	"github.com/ade15e70/webhook-bridge/internal/relay"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/internal/stream"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

func releaseCommand(environ []string, stdio stdio) *cobra.Command {
	var which choice
	c := &cobra.Command{
		Use:   "release ID... | --all",
		Short: "Verify deliveries in quarantine again and publish them",
		Long: `Verify deliveries in quarantine again, except their time, and publish them as if they had just come.
The endpoint's secrets and settings are taken from the environment, as for "bridge serve". What is
published is removed from quarantine; what still fails stays. ID may be the beginning of an id; if
one of them isn't there, nothing is released.

What the stream has already is not published again. An account that may not read the stream
publishes it as a possible duplicate.

Each outcome is printed in a line. The exit status is 0 if all were released.`,
		Example: example(`  SECRETS=… bridge quarantine release 5e0c
  SECRETS=… bridge quarantine release --all --endpoint ENDPOINT --reason stale`),
		RunE: func(c *cobra.Command, args []string) error {
			if err := which.check(c, args); err != nil {
				return err
			}
			s, err := openQuarantine(c.Context(), environ, ofRelease, stdio)
			if err != nil {
				return err
			}
			defer s.close()
			if _, err := streamNamed(c.Context(), s.js, string(s.cfg.StreamName)); err != nil {
				return interrupted(c.Context(), err)
			}
			chosen, err := s.chosen(c.Context(), args, which.filter)
			if err != nil || len(chosen) == 0 {
				return err
			}
			to, err := openPublisher(c.Context(), s.cfg)
			if err != nil {
				return err
			}
			defer func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), ackTimeout)
				defer cancel()
				_ = to.Close(ctx) // every acknowledgement was awaited
			}()
			return newReleasing(s, to).all(c.Context(), chosen)
		},
	}
	which.flags(c, environ)
	return c
}

// ofRelease matches the variables of release.
var ofRelease = ofEndpoints(ofStream...)

// releasing is one run of release.
type releasing struct {
	*quarantineStore
	to      *publish.Publisher
	lookup  *relay.Lookup
	numbers map[string]uint64 // the sequence numbers that the ids have as records

	released, failed int
}

func newReleasing(s *quarantineStore, to *publish.Publisher) *releasing {
	r := &releasing{quarantineStore: s, to: to, numbers: make(map[string]uint64)}
	r.lookup = &relay.Lookup{
		Publisher: to, Kind: publish.Event, Reach: reachOf(s.cfg, to.Window(publish.Event)), Log: zap.NewNop(), Now: time.Now,
		Wanted: func(id string) bool { return r.numbers[id] > 0 },
		Last:   func() uint64 { return uint64(len(r.numbers)) }, Earlier: math.MaxUint64,
	}
	return r
}

// maxBatch bounds the bodies in memory.
const maxBatch = 32

// all releases the deliveries in batches.
func (r *releasing) all(ctx context.Context, chosen []quarantine.Kept) error {
	for _, k := range chosen {
		r.number(k.ID) // one look-up serves all, except those whose id has changed
	}
	for batch := range slices.Chunk(chosen, maxBatch) {
		if err := r.batch(ctx, batch); err != nil {
			return err
		}
	}
	r.say("%d released, %d stay", r.released, len(chosen)-r.released)
	switch {
	case r.released+r.failed < len(chosen):
		return fmt.Errorf("interrupted after %d of %d", r.released+r.failed, len(chosen))
	case r.failed > 0:
		return fmt.Errorf("%d of %d could not be released", r.failed, len(chosen))
	}
	return nil
}

// batch releases deliveries until the context ends, and prints the outcomes. Its error is one of
// printing.
func (r *releasing) batch(ctx context.Context, chosen []quarantine.Kept) error {
	records, errs := make([]spool.Record, len(chosen)), make([]error, len(chosen))
	var verified []spool.Record
	for i, k := range chosen {
		if records[i], errs[i] = r.verify(ctx, k); errs[i] == nil {
			verified = append(verified, records[i])
		}
	}
	known, unknown := r.lookup.Ask(ctx, verified)
	for i, k := range chosen {
		if ctx.Err() != nil {
			break
		}
		var became string
		err := cmp.Or(errs[i], unknown)
		if err == nil {
			became, err = r.publish(context.WithoutCancel(ctx), k, records[i].Message, known)
		}
		if err != nil {
			r.failed++
			became = "stays: " + because(err)
		} else {
			r.released++
		}
		if _, err := fmt.Fprintln(r.out, humanize.Text(k.ID+"  "+became)); err != nil {
			return err
		}
	}
	return nil //nolint:nilerr // what failed is printed
}

// publish publishes what isn't stored already, and removes the delivery from quarantine.
func (r *releasing) publish(ctx context.Context, k quarantine.Kept, m publish.Message, known relay.Answer) (became string, err error) {
	if became = "stored already"; !known.Stored[m.ID] {
		status, err := r.to.Publish(ctx, m)
		if err != nil {
			return "", err
		}
		if became = string(status); status == publish.Stored && known.Unsure[m.ID] {
			became = "stored, a possible duplicate: the account may not look it up"
		}
	}
	if err := r.Remove(ctx, k); err != nil {
		return "", fmt.Errorf("%s, but it could not be removed from quarantine: %w", became, err)
	}
	if m.ID != k.ID { // the endpoint's settings have changed
		became += " as " + m.ID
	}
	return became, nil
}

// number returns the id's number, or a new one: earlier look-ups didn't ask for that id.
func (r *releasing) number(id string) uint64 {
	if _, ok := r.numbers[id]; !ok {
		r.numbers[id] = uint64(len(r.numbers)) + 1
	}
	return r.numbers[id]
}

// verify reads a delivery and verifies it again, except its time. It returns the record to look up
// and to publish.
func (r *releasing) verify(ctx context.Context, k quarantine.Kept) (spool.Record, error) {
	d, err := r.Get(ctx, k)
	if err != nil {
		return spool.Record{}, err
	}
	at, request, err := sealed(r.cfg, d)
	if err != nil {
		return spool.Record{}, err
	}
	_, timed := at.Provider.Verify(request)
	request.Untimed = true
	claims, err := at.Provider.Verify(request)
	if err != nil {
		return spool.Record{}, err
	}
	e := at.Event(at.ID(claims), claims, time.Now())
	message := publish.NewMessage(string(r.cfg.SubjectPrefix), at.Name, &e, nil)
	arrived := k.Received
	if errors.Is(timed, verify.Stale) { // a copy may have been stored at any time
		arrived = stream.Beginning
	}
	return spool.Record{Message: message, Seq: r.number(message.ID), Arrived: arrived}, nil
}
