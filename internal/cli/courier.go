package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// courier publishes for a command, which has more time than a delivery and no spool behind it: it tries
// again where NATS is away for a moment.
type courier struct {
	*publish.Publisher
	reach     time.Duration   // how long before an event's arrival a copy of it can have been stored
	pauses    []time.Duration // before each attempt after the first
	reconnect time.Duration   // how long an attempt waits for the connection
	words     io.Writer
}

const (
	ackTimeout    = 5 * time.Second
	settleTimeout = 10 * time.Second
	// mostAtOnce is how many acknowledgements are awaited together.
	mostAtOnce = 256
)

// openCourier returns a courier to the streams of a bridge with this configuration. It makes no streams.
func openCourier(ctx context.Context, cfg *config.Config, words io.Writer) (*courier, error) {
	events := publish.Stream{Name: string(cfg.StreamName), Prefix: string(cfg.SubjectPrefix)}
	kept := publish.Stream{Name: quarantine.Stream(events.Name), Prefix: quarantine.Prefix(events.Prefix), DropOldest: true}
	p, err := publish.Open(publish.Config{
		Server: app.NATSServer(cfg, natsURL(cfg), version()), Stream: events, Quarantine: &kept,
		Windows: app.WindowsFile(cfg), ReadOnly: true,
		Timeout: ackTimeout, Log: zap.NewNop(), // what matters to the command it says itself
	})
	if err != nil {
		return nil, err
	}
	p.Settle(ctx, settleTimeout)
	return &courier{
		Publisher: p, reach: reachOf(cfg, p.ConfiguredWindow(publish.Event)), words: words, reconnect: 5 * time.Second,
		pauses: []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second},
	}, nil
}

// reachOf is [app.Reach]. Where the environment has no endpoint it is the longest that the bridge's can
// have: the window is longer than any tolerance, and no span longer than two.
func reachOf(cfg *config.Config, window time.Duration) time.Duration {
	if len(cfg.Endpoints) > 0 {
		return app.Reach(cfg)
	}
	longest := 2 * window
	for _, p := range providers.All {
		longest = max(longest, p.Span(p.Tolerance))
	}
	return longest
}

func (c *courier) close() {
	ctx, cancel := context.WithTimeout(context.Background(), ackTimeout)
	defer cancel()
	_ = c.Close(ctx) // every acknowledgement was awaited
}

// deliver publishes the messages, in order, again those that fail and may not for ever. What is begun is
// ended, also after Ctrl-C; then nothing is tried again.
func (c *courier) deliver(ctx context.Context, messages []publish.Message) []publish.Result {
	results := make([]publish.Result, len(messages))
	left := make([]int, len(messages))
	for i := range left {
		left[i] = i
	}
	for attempt := 0; ; attempt++ {
		some := make([]publish.Message, len(left))
		for i, place := range left {
			some[i] = messages[place]
		}
		c.await(ctx, some)
		var again []int
		for i, result := range c.PublishAll(context.WithoutCancel(ctx), some) {
			results[left[i]] = result
			if errors.Is(result.Err, publish.ErrUnavailable) {
				again = append(again, left[i])
			}
		}
		if left = again; len(left) == 0 || attempt == len(c.pauses) || ctx.Err() != nil {
			return results
		}
		if attempt == 0 {
			_, _ = fmt.Fprintf(c.words, "bridge: %d of %d messages could not be stored yet, trying again: %v\n", len(left), len(messages), results[left[0]].Err)
		}
		wait(ctx, c.pauses[attempt])
	}
}

// await waits a moment for NATS, where it is away.
func (c *courier) await(ctx context.Context, messages []publish.Message) {
	ctx, cancel := context.WithTimeout(ctx, c.reconnect)
	defer cancel()
	for _, m := range messages {
		for c.Ready(m.Kind) != nil && ctx.Err() == nil {
			wait(ctx, 10*time.Millisecond)
		}
	}
}

// wait waits, or until the context ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// because is why a message could not be published, and what to do about it.
func because(err error) string {
	if remedy := publish.CauseOf(err).Remedy(); remedy != "" {
		return fmt.Sprintf("%v: %s", err, remedy)
	}
	return err.Error()
}
