package cli

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

const (
	ackTimeout    = 5 * time.Second
	settleTimeout = 10 * time.Second
)

// openPublisher returns a publisher to the streams that a bridge with this configuration uses. It
// creates none.
func openPublisher(ctx context.Context, cfg *config.Config) (*publish.Publisher, error) {
	events := publish.Stream{Name: cfg.StreamName, Prefix: cfg.SubjectPrefix}
	kept := publish.Stream{Name: quarantine.Stream(events.Name), Prefix: quarantine.Prefix(events.Prefix), DropOldest: true}
	p, err := publish.Open(publish.Config{
		Server: app.NATSServer(cfg, natsURL(cfg), version()), Stream: events, Quarantine: &kept,
		Timeout: ackTimeout, Log: zap.NewNop(), // the command reports the errors
	})
	if err != nil {
		return nil, err
	}
	p.Settle(ctx, settleTimeout)
	return p, nil
}

// reachOf returns how long before an event's arrival a copy of it can have been stored:
// [app.Reach], or without endpoints an upper bound. The duplicate window is longer than any
// tolerance, and no span is longer than two tolerances.
func reachOf(cfg *config.Config, window time.Duration) time.Duration {
	if len(cfg.Endpoints) > 0 {
		return app.Reach(cfg)
	}
	longest := 2 * window
	for _, p := range providers.All {
		longest = max(longest, p.Tolerance+p.AheadOf(p.Tolerance))
	}
	return longest
}

// sleep pauses for d, or until the context ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
