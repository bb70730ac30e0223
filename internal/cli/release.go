package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
	"github.com/ade15e70/webhook-bridge/internal/relay"
	"github.com/ade15e70/webhook-bridge/internal/spool"
	"github.com/ade15e70/webhook-bridge/internal/stream"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

func releaseCommand(prog program) *cobra.Command {
	var which quarantineSelection
	c := &cobra.Command{
		Use:   "release ID... | --all",
		Short: "Verify deliveries in quarantine again and publish them",
		Long: `Verify deliveries in quarantine again, except their time, and publish them as if they had just come.
The endpoint's secrets and settings are taken from the environment, as for "bridge serve". A
delivery that is published is removed from quarantine; one that still fails stays. ID may be the
beginning of an id; if an ID is unknown, nothing is released.

An event that the stream has already is not published again. If the account may not read the stream,
it is published as a possible duplicate.

Each outcome is printed in a line. The exit status is 0 if all were released.`,
		Example: `  SECRETS=… bridge quarantine release 5e0c
  SECRETS=… bridge quarantine release --all --endpoint ENDPOINT --reason stale`,
		RunE: prog.withQuarantine(releaseVariables, func(ctx context.Context, s *quarantineStore, _ []string) error {
			if _, err := s.stream(ctx, s.cfg.StreamName); err != nil {
				return interrupted(ctx, err)
			}
			chosen, err := s.chosen(ctx, which)
			if err != nil || len(chosen) == 0 {
				return err
			}
			to, err := openPublisher(ctx, s.cfg)
			if err != nil {
				return err
			}
			defer func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
				defer cancel()
				_ = to.Close(ctx) // every acknowledgement was awaited
			}()
			return (&releaser{quarantineStore: s, to: to}).all(ctx, chosen)
		}),
	}
	which.flags(c)
	return c
}

// releaseVariables matches the variables of release.
var releaseVariables = endpointVariables(streamVariables...)

// releaser is one run of release.
type releaser struct {
	*quarantineStore
	to     *publish.Publisher
	lookup *relay.Lookup
}

// all releases the deliveries and prints the outcomes. Each is read and verified twice: once for a
// single look-up of all, once to be published. Together they may be too large for memory, and while
// the look-up lasts somebody may drop one.
func (r *releaser) all(ctx context.Context, chosen []quarantine.Kept) error {
	ids, unfit := make(map[string]bool), make([]error, len(chosen))
	var records []spool.Record
	for i, k := range chosen {
		record, err := r.verify(ctx, k)
		if unfit[i] = err; err == nil {
			ids[record.ID], record.Data = true, nil
			records = append(records, record)
		}
	}
	r.lookup = &relay.Lookup{
		Publisher: r.to, Kind: publish.Event, Reach: reachOf(r.cfg, r.to.Window(publish.Event)), Log: zap.NewNop(), Now: time.Now,
		Wanted: func(id string) bool { return ids[id] }, Last: func() uint64 { return recordNumber }, Earlier: recordNumber,
	}
	_, lookupErr := r.lookup.Ask(ctx, records)
	released, gone := 0, 0
	summary := func() string {
		text := fmt.Sprintf("%d released, %d stay", released, len(chosen)-released-gone)
		if gone > 0 {
			text += fmt.Sprintf(", %d gone", gone)
		}
		return text
	}
	for i, k := range chosen {
		record, err := r.verify(ctx, k)
		var known relay.Answer
		if err = cmp.Or(unfit[i], err, lookupErr); err == nil { // the look-up had no record that was unfit
			known, err = r.lookup.Ask(ctx, []spool.Record{record})
		}
		if ctx.Err() != nil {
			r.say("%s", summary())
			return fmt.Errorf("interrupted after %d of %d", i, len(chosen))
		}
		var outcome string
		if err == nil {
			outcome, err = r.publish(context.WithoutCancel(ctx), k, record.Message, known)
		}
		switch remedy := publish.CauseOf(err).Remedy(); {
		case err == nil:
			released++
		case errors.Is(err, quarantine.ErrGone):
			gone++
			outcome = err.Error()
		case remedy != "":
			outcome = "stays: " + err.Error() + ": " + remedy
		default:
			outcome = "stays: " + err.Error()
		}
		r.print("%s  %s", k.ID, outcome)
	}
	if released < len(chosen) {
		return errors.New(summary())
	}
	r.say("%s", summary())
	return nil
}

// publish publishes a delivery unless it is stored already, and removes it from quarantine.
func (r *releaser) publish(ctx context.Context, k quarantine.Kept, m publish.Message, known relay.Answer) (outcome string, err error) {
	if outcome = "stored already"; !known.Stored[m.ID] {
		status, err := r.to.Publish(ctx, m)
		if err != nil {
			return "", err
		}
		if outcome = string(status); status == publish.Stored && known.Unsure[m.ID] {
			outcome = "stored, a possible duplicate: the account has no right to look it up"
		}
	}
	if err := r.Remove(ctx, k); err != nil {
		return "", fmt.Errorf("%s, but it could not be removed from quarantine: %w", outcome, err)
	}
	if m.ID != k.ID { // the endpoint's settings have changed
		outcome += " as " + m.ID
	}
	return outcome, nil
}

// recordNumber is the sequence number of every record. A look-up tells records apart by their ids,
// and takes these for records of an earlier process.
const recordNumber = 1

// verify reads a delivery and verifies it again, except its time. It returns the record to look up
// and publish.
func (r *releaser) verify(ctx context.Context, k quarantine.Kept) (spool.Record, error) {
	d, err := r.Get(ctx, k)
	if err != nil {
		return spool.Record{}, err
	}
	at, request, err := storedRequest(r.cfg, d)
	if err != nil {
		return spool.Record{}, err
	}
	_, timed := at.Provider.Verify(request)
	request.Untimed = true
	claims, err := at.Provider.Verify(request)
	switch {
	case errors.Is(err, verify.WrongSignature):
		return spool.Record{}, fmt.Errorf("%w: no secret of endpoint %s fits; add the one that it had when this came", err, at.Name)
	case err != nil:
		return spool.Record{}, err
	}
	e := at.Event(at.ID(claims), claims, time.Now())
	message := publish.NewMessage(r.cfg.SubjectPrefix, at.Name, &e)
	message.Arrived = k.Received
	if errors.Is(timed, verify.Stale) { // a copy may have been stored at any time
		message.Arrived = stream.Beginning
	}
	return spool.Record{Message: message, Seq: recordNumber}, nil
}
