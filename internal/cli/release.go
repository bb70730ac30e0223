package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
	"github.com/ade15e70/webhook-bridge/internal/stream"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

func quarantineReleaseCommand(prog program) *cobra.Command {
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
  SECRETS=… bridge quarantine release --all --reason stale`,
		RunE: prog.withNATS(releaseVariables, func(ctx context.Context, s *session, _ []string) error {
			store, chosen, err := s.quarantined(ctx, which)
			if err != nil || len(chosen) == 0 {
				return err
			}
			if _, err := s.stream(ctx, s.cfg.StreamName); err != nil {
				return err
			}
			to, err := s.publisher(ctx)
			if err != nil {
				return err
			}
			defer func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
				defer cancel()
				_ = to.Close(ctx) // every acknowledgement was awaited
			}()
			return (&releaser{session: s, store: store, to: to}).all(ctx, chosen)
		}),
	}
	which.flags(c)
	return c
}

var releaseVariables = endpointVariables(streamVariables...)

type releaser struct {
	*session
	store    quarantine.Store
	to       *publish.Publisher
	lookedUp time.Time    // when the last look-up began
	found    stream.Found // the events that were stored already
	noLookUp bool         // the account has no right to look them up
}

// all releases the deliveries and prints the outcomes. One look-up serves all, as long as the stream
// recognises copies that were stored since. All are held in memory: QUARANTINE_MAX_BYTES bounds them.
func (r *releaser) all(ctx context.Context, chosen []quarantine.Kept) error {
	messages, unfit, ids := make([]publish.Message, len(chosen)), make([]error, len(chosen)), make(map[string]bool)
	for i, k := range chosen {
		messages[i], unfit[i] = r.verify(ctx, k)
		ids[messages[i].ID] = true
	}
	released := 0
	for i, k := range chosen {
		if ctx.Err() != nil {
			return fmt.Errorf("%w after %d of %d: %d released", errInterrupted, i, len(chosen), released)
		}
		if !r.noLookUp && time.Since(r.lookedUp) >= r.to.Window(publish.Event)/2 {
			if err := r.lookUp(ctx, ids); err != nil {
				return fmt.Errorf("after %d of %d: %w", i, len(chosen), err)
			}
		}
		var outcome string
		err := unfit[i]
		if err == nil {
			outcome, err = r.release(context.WithoutCancel(ctx), k, messages[i])
		}
		switch remedy := publish.CauseOf(err).Remedy(); {
		case err == nil:
			released++
		case remedy != "":
			outcome = "not released: " + err.Error() + ": " + remedy
		default:
			outcome = "not released: " + err.Error()
		}
		r.prog.print("%s  %s", k.ID, outcome)
	}
	summary := fmt.Sprintf("%d released, %d not", released, len(chosen)-released)
	if released < len(chosen) {
		return errors.New(summary)
	}
	r.prog.say("%s", summary)
	return nil
}

// lookUp finds the events that are stored already: a copy of a stale delivery may have been stored at any
// time.
func (r *releaser) lookUp(ctx context.Context, ids map[string]bool) (err error) {
	r.lookedUp = time.Now()
	r.found, err = r.to.Stored(ctx, publish.Event, stream.Beginning, func(id string) bool { return ids[id] })
	if r.noLookUp = errors.Is(err, stream.ErrUnreadable); r.noLookUp {
		return nil
	}
	return err
}

// release publishes a delivery unless it is stored already, and removes it from quarantine.
func (r *releaser) release(ctx context.Context, k quarantine.Kept, m publish.Message) (outcome string, err error) {
	if outcome = "stored already"; r.found.IDs[m.ID] > 0 {
		info, err := r.to.Info(ctx, publish.Event)
		switch {
		case err != nil:
			return "", err
		case !r.found.IsOf(info):
			return "", errors.New("the stream was created again or restored; run the command again")
		}
	} else {
		status, err := r.to.Publish(ctx, m)
		if err != nil {
			return "", err
		}
		if outcome = string(status); status == publish.Stored && r.noLookUp {
			outcome = "stored, a possible duplicate: it can't be looked up"
		}
	}
	if err := r.store.Remove(ctx, k); err != nil {
		return "", fmt.Errorf("%s, but it could not be removed from quarantine: %w", outcome, err)
	}
	if m.ID != k.ID { // the endpoint's settings have changed
		outcome += " as " + m.ID
	}
	return outcome, nil
}

// verify verifies a delivery again, except its time, and returns the message to publish.
func (r *releaser) verify(ctx context.Context, k quarantine.Kept) (m publish.Message, err error) {
	d, err := r.store.Get(ctx, k)
	if err != nil {
		return m, err
	}
	endpoint, err := endpointNamed(r.cfg, d.Endpoint)
	if err != nil {
		return m, err
	}
	at := app.Endpoint(endpoint)
	body, err := at.Provider.Parse(d.Headers, d.Body, nil)
	if err != nil {
		return m, err
	}
	request := at.Sealed(d.Seal, d.Headers, d.Body, body, d.Received)
	request.Untimed = true
	claims, err := at.Provider.Verify(request)
	switch {
	case errors.Is(err, verify.WrongSignature):
		return m, fmt.Errorf("%w: no secret of endpoint %s fits; add the one that it had when this came", err, at.Name)
	case err != nil:
		return m, err
	}
	e := at.Event(at.ID(claims), claims, time.Now())
	return publish.NewMessage(r.cfg.SubjectPrefix, at.Name, &e), nil
}
