package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/durable"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/readable"
	"github.com/ade15e70/webhook-bridge/internal/relay"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

func releaseCommand(environ []string, stdio stdio) *cobra.Command {
	var which choice
	c := &cobra.Command{
		Use:   "release ID... | --all",
		Short: "Verify deliveries in quarantine again and publish them",
		Long: `Verify deliveries in quarantine again, but for their time, with the endpoint's secrets and settings,
which are taken from the environment as "bridge serve" takes them, and publish them as if they had
just come. What is published is removed from quarantine; what still fails stays. ID may be the
beginning of an id; where one of them isn't there, nothing is released.

What may be stored already is looked up in the stream first, and not published again. An account
that may not read the stream publishes it as a possible duplicate.

What became of each is printed in a line. The exit status is 0 when all were released.`,
		Example: example(`  SECRETS=… bridge quarantine release 5e0c
  SECRETS=… bridge quarantine release --all --endpoint ENDPOINT --reason stale`),
		RunE: func(c *cobra.Command, args []string) error {
			if err := which.check(c, args); err != nil {
				return err
			}
			s, err := openShelf(c.Context(), environ, usedByRelease, stdio.err)
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
			to, err := openCourier(c.Context(), s.cfg, stdio.err)
			if err != nil {
				return err
			}
			defer to.close()
			r := &releasing{shelf: s, to: to, stdio: stdio}
			return r.all(c.Context(), chosen)
		},
	}
	which.flags(c, environ)
	return c
}

// usedByRelease says whether release uses a variable: those of tail, and the endpoints'.
func usedByRelease(variable string) bool {
	return usedByTail(variable) || usedByEndpoints(variable)
}

// usedByEndpoints says whether a variable is an endpoint's.
func usedByEndpoints(variable string) bool {
	for _, p := range providers.All {
		if strings.HasPrefix(variable, p.Variable("")) {
			return !strings.Contains(variable, ",") // several at once: none of them is set, which matters for some only
		}
	}
	return strings.HasPrefix(variable, "ENDPOINTS_")
}

// releasing is one run of release.
type releasing struct {
	*shelf
	to    *courier
	stdio stdio

	released, failed int
}

// ready is a delivery that was verified again.
type ready struct {
	kept
	message durable.Message
	// wasStale: it was too old already when it was received, so that a copy of it may be stored since
	// whenever.
	wasStale bool
}

// mostBytes bounds what is held at one time.
const mostBytes = 16 << 20

// all releases the messages, some at a time.
func (r *releasing) all(ctx context.Context, chosen []kept) error {
	for left := chosen; len(left) > 0 && ctx.Err() == nil; {
		n, size := 0, int64(0)
		for n < len(left) && n < mostAtOnce && (n == 0 || size+left[n].size <= mostBytes) {
			size += left[n].size
			n++
		}
		if err := r.some(ctx, left[:n]); err != nil {
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

// some releases messages; the error is that of printing.
func (r *releasing) some(ctx context.Context, chosen []kept) error {
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
	now := time.Now()
	stored, unsure, err := r.lookUp(ctx, verified, now)
	if err != nil {
		for _, one := range verified {
			if err := r.stays(one.kept, err.Error()); err != nil {
				return err
			}
		}
		return nil
	}
	var left []ready
	var messages []durable.Message
	for _, one := range verified {
		if stored[one.message.ID] {
			if err := r.done(ctx, one, "stored already"); err != nil {
				return err
			}
			continue
		}
		left, messages = append(left, one), append(messages, one.message)
	}
	for i, result := range r.to.deliver(ctx, messages) {
		one, became := left[i], string(result.Status)
		switch {
		case result.Err != nil:
			err = r.stays(one.kept, because(result.Err))
		case result.Status == durable.Stored && unsure && !r.isRemembered(one, now):
			err = r.done(ctx, one, "stored, a possible duplicate: our account may not look it up")
		default:
			err = r.done(ctx, one, became)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// verify reads a message and verifies it again, but for its time.
func (r *releasing) verify(ctx context.Context, k kept) (ready, error) {
	i := slices.IndexFunc(r.cfg.Endpoints, func(e config.Endpoint) bool { return e.Name == k.Endpoint })
	if i < 0 || len(r.cfg.Endpoints[i].Secrets) == 0 {
		return ready{}, unknownEndpoint(r.cfg, k.Endpoint)
	}
	at := app.Endpoint(r.cfg.Endpoints[i])
	d, err := r.delivery(ctx, k)
	if err != nil {
		return ready{}, err
	}
	body, err := stringify.Parse(d.Body)
	switch {
	case err != nil:
		return ready{}, err
	case !body.IsObject():
		return ready{}, errors.New("its body is not a JSON object")
	}
	request := at.Sealed(d.Seal, d.Body, body, d.Received)
	_, timed := at.Provider.Verify(request)
	request.Untimed = true
	claims, err := at.Provider.Verify(request)
	if err != nil {
		return ready{}, err
	}
	e := at.Event(at.ID(claims), claims, body, time.Now())
	return ready{kept: k, message: at.Message(string(r.cfg.SubjectPrefix), &e, nil), wasStale: errors.Is(timed, verify.Stale)}, nil
}

// isRemembered says whether the stream recognises by itself what it has stored of an event.
func (r *releasing) isRemembered(one ready, now time.Time) bool {
	return !one.wasStale && r.to.remembers(durable.Event, one.Received, now)
}

// lookUp says which of the events are stored already that the stream may not recognise by itself; unsure
// means that it can't be told.
func (r *releasing) lookUp(ctx context.Context, verified []ready, now time.Time) (stored map[string]bool, unsure bool, err error) {
	wanted := make(map[string]bool)
	since := now
	for _, one := range verified {
		if r.isRemembered(one, now) {
			continue
		}
		wanted[one.message.ID] = true
		from := time.Time{}
		if !one.wasStale {
			from = relay.FirstCopy(one.Received, now, r.to.reach)
		}
		if from.Before(since) {
			since = from
		}
	}
	if len(wanted) == 0 {
		return nil, false, nil
	}
	stored, err = r.to.Stored(ctx, durable.Event, since, func(id string) bool { return wanted[id] })
	if errors.Is(err, publish.ErrNoRights) {
		return nil, true, nil
	}
	return stored, false, interrupted(ctx, err)
}

// done removes a message that is published, and says what became of it.
func (r *releasing) done(ctx context.Context, one ready, became string) error {
	if err := r.remove(ctx, one.kept); err != nil {
		return r.stays(one.kept, fmt.Sprintf("%s, but it could not be removed from quarantine: %v", became, err))
	}
	r.released++
	if one.message.ID != one.ID { // the endpoint's settings are others than when it was kept
		became += " as " + one.message.ID
	}
	return r.print(one.kept, became)
}

func (r *releasing) stays(k kept, why string) error {
	r.failed++
	return r.print(k, "stays: "+why)
}

func (r *releasing) print(k kept, text string) error {
	_, err := fmt.Fprintln(r.stdio.out, readable.Text(k.ID+"  "+text))
	return err
}
