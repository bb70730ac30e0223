package relay

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/spool"
)

// retrySetAside retries the records that were set aside, every r.RetrySetAside, until the context ends.
func (r *Relay) retrySetAside(ctx context.Context) {
	var lookups []*lookup // not the forwarders', which run at the same time
	for _, kind := range r.Publisher.Kinds() {
		lookups = append(lookups, &lookup{Relay: r, kind: kind})
	}
	after := uint64(0)
	for logged := int64(0); ctx.Err() == nil; {
		pause(ctx, r.RetrySetAside)
		if s := r.Spool.Stats(); s.SetAside > 0 && s.Err == nil { // else delivered records can't be removed
			var n int
			if n, after = r.trySetAside(ctx, lookups, after); n > 0 {
				left := r.Spool.Stats().SetAside
				r.Log.Info("messages that were set aside are delivered", zap.Int("messages", n), zap.Int64("left", left))
			}
		}
		n := r.Spool.Stats().SetAside
		if n > 0 && n != logged {
			r.Log.Warn("messages are set aside in the spool: `bridge spool list` shows them", zap.Int64("messages", n))
		}
		logged = n
	}
}

// trySetAside tries once to deliver each record that was set aside after the given one, and returns how many it
// delivered. It ends at the first one without an acknowledgement, and returns it: if a leaf node's hub has found
// it too large, those behind it didn't arrive. They come first the next time.
func (r *Relay) trySetAside(ctx context.Context, lookups []*lookup, after uint64) (n int, unanswered uint64) {
	for unanswered == 0 && ctx.Err() == nil {
		records, err := r.Spool.SetAside(after, firstBatch)
		if err != nil || len(records) == 0 {
			return n, 0
		}
		after = records[len(records)-1].Seq
		var delivered []uint64
		for _, l := range lookups {
			some := slices.DeleteFunc(slices.Clone(records), func(record spool.Record) bool { return record.Kind != l.kind })
			if len(some) == 0 || r.Publisher.Ready(l.kind) != nil {
				continue
			}
			for i, result := range r.deliver(ctx, l, some) {
				switch {
				case result.Err == nil:
					delivered = append(delivered, some[i].Seq)
				case publish.CauseOf(result.Err) == publish.TimedOut && (unanswered == 0 || some[i].Seq < unanswered):
					unanswered = some[i].Seq
				}
			}
		}
		if len(delivered) > 0 {
			if err := r.Spool.Discard(delivered); err != nil {
				return n, 0 // the spool has logged it
			}
			n += len(delivered)
		}
	}
	return n, unanswered
}
