package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/app"
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
			if _, err := streamNamed(c.Context(), s.js, string(s.cfg.StreamName), madeByBridge); err != nil {
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
			defer to.close()
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
	to      *publisher
	lookup  *relay.Lookup
	numbers map[string]uint64 // the sequence numbers that the ids have as records

	released, failed int
}

func newReleasing(s *quarantineStore, to *publisher) *releasing {
	r := &releasing{quarantineStore: s, to: to, numbers: make(map[string]uint64)}
	r.lookup = &relay.Lookup{
		Publisher: to.Publisher, Kind: publish.Event, Reach: to.reach, Log: zap.NewNop(), Now: time.Now,
		Wanted: func(id string) bool { return r.numbers[id] > 0 },
		Last:   func() uint64 { return uint64(len(r.numbers)) }, Earlier: math.MaxUint64,
	}
	return r
}

// ready is a delivery that was verified again.
type ready struct {
	quarantine.Kept
	message publish.Message
	// wasStale: it was too old when it was received, so that a copy may have been stored at any time.
	wasStale bool
}

// maxBatchBytes bounds the bodies in memory.
const maxBatchBytes = 16 << 20

// all releases the deliveries in batches.
func (r *releasing) all(ctx context.Context, chosen []quarantine.Kept) error {
	for _, k := range chosen {
		r.number(k.ID) // one look-up serves all, except those whose id has changed
	}
	for left := chosen; len(left) > 0 && ctx.Err() == nil; {
		n, size := 0, int64(0)
		for n < len(left) && n < maxBatch && (n == 0 || size+left[n].Size <= maxBatchBytes) {
			size += left[n].Size
			n++
		}
		if err := r.batch(ctx, left[:n]); err != nil {
			return err
		}
		left = left[n:]
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

// batch releases deliveries. Its error is one of printing.
func (r *releasing) batch(ctx context.Context, chosen []quarantine.Kept) error {
	var verified []ready
	for _, k := range chosen {
		if ctx.Err() != nil {
			break
		}
		one, err := r.verify(ctx, k)
		if err != nil {
			if err := r.stays(k, err.Error()); err != nil {
				return err
			}
			continue
		}
		verified = append(verified, one)
	}
	return r.publish(ctx, verified)
}

// publish publishes what isn't stored already, and tries transient failures again. Each attempt looks it
// up first: the stream may have forgotten an id since the last one.
func (r *releasing) publish(ctx context.Context, left []ready) error {
	for attempt := 0; len(left) > 0; attempt++ {
		again, err := r.attempt(ctx, left, attempt == len(retryPauses))
		if err != nil {
			return err
		}
		if left = again; len(left) > 0 {
			wait(ctx, retryPauses[attempt])
		}
	}
	return nil
}

// attempt publishes once, and returns what to try again; the last attempt returns nothing.
func (r *releasing) attempt(ctx context.Context, verified []ready, last bool) (again []ready, err error) {
	var records []spool.Record
	var messages []publish.Message
	for _, one := range verified {
		records, messages = append(records, r.record(one)), append(messages, one.message)
	}
	r.to.await(ctx, messages)
	known, err := r.lookup.Ask(ctx, records)
	if err != nil {
		for _, one := range verified {
			if err := r.stays(one.Kept, interrupted(ctx, err).Error()); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	var left []ready
	messages = nil
	for _, one := range verified {
		if known.Stored[one.message.ID] {
			if err := r.done(ctx, one, "stored already"); err != nil {
				return nil, err
			}
			continue
		}
		left, messages = append(left, one), append(messages, one.message)
	}
	for i, result := range r.to.PublishAll(context.WithoutCancel(ctx), messages) {
		one, became := left[i], string(result.Status)
		switch {
		case errors.Is(result.Err, publish.ErrUnavailable) && !last && ctx.Err() == nil:
			again = append(again, one)
		case result.Err != nil:
			err = r.stays(one.Kept, because(result.Err))
		case result.Status == publish.Stored && known.Unsure[one.message.ID]:
			err = r.done(ctx, one, "stored, a possible duplicate: the account may not look it up")
		default:
			err = r.done(ctx, one, became)
		}
		if err != nil {
			return nil, err
		}
	}
	return again, nil
}

// record returns the record to look up.
func (r *releasing) record(one ready) spool.Record {
	record := spool.Record{Message: one.message, Seq: r.number(one.message.ID), Arrived: one.Received}
	if one.wasStale {
		record.Arrived = stream.Beginning
	}
	return record
}

// number returns the id's number, or a new one: earlier look-ups didn't ask for that id.
func (r *releasing) number(id string) uint64 {
	if _, ok := r.numbers[id]; !ok {
		r.numbers[id] = uint64(len(r.numbers)) + 1
	}
	return r.numbers[id]
}

// verify reads a delivery and verifies it again, except its time.
func (r *releasing) verify(ctx context.Context, k quarantine.Kept) (ready, error) {
	endpoint, err := endpointNamed(r.cfg, k.Endpoint)
	if err != nil {
		return ready{}, err
	}
	at := app.Endpoint(endpoint)
	d, err := r.Get(ctx, k)
	if err != nil {
		return ready{}, err
	}
	body, err := at.Provider.Parse(d.Headers, d.Body)
	switch {
	case err != nil:
		return ready{}, err
	case !body.IsObject():
		return ready{}, errors.New("its body is not a JSON object")
	}
	request := at.Sealed(d.Seal, d.Headers, d.Body, body, d.Received)
	_, timed := at.Provider.Verify(request)
	request.Untimed = true
	claims, err := at.Provider.Verify(request)
	if err != nil {
		return ready{}, err
	}
	e := at.Event(at.ID(claims), claims, time.Now())
	message := publish.NewMessage(string(r.cfg.SubjectPrefix), at.Name, &e, nil)
	return ready{Kept: k, message: message, wasStale: errors.Is(timed, verify.Stale)}, nil
}

// done removes a published delivery from quarantine, and prints the outcome.
func (r *releasing) done(ctx context.Context, one ready, became string) error {
	if err := r.Remove(context.WithoutCancel(ctx), one.Kept); err != nil {
		return r.stays(one.Kept, fmt.Sprintf("%s, but it could not be removed from quarantine: %v", became, err))
	}
	r.released++
	if one.message.ID != one.ID { // the endpoint's settings have changed
		became += " as " + one.message.ID
	}
	return r.print(one.Kept, became)
}

func (r *releasing) stays(k quarantine.Kept, why string) error {
	r.failed++
	return r.print(k, "stays: "+why)
}

func (r *releasing) print(k quarantine.Kept, text string) error {
	_, err := fmt.Fprintln(r.out, humanize.Text(k.ID+"  "+text))
	return err
}
