//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
	"github.com/ade15e70/webhook-bridge/internal/verify/frigade"
)

// load is the senders, which send until they are stopped.
type load struct {
	ledger   *ledger
	client   *client
	pick     func(n int) []*bridge // where the n-th delivery goes: to the first of them that takes the connection
	run      string                // makes this run's deliveries differ from others'
	seed     uint64
	pace     time.Duration // between two deliveries of a sender, on average
	captured sync.Map      // by provider: the signature of a delivery that was sent, for forgers
	stop     context.CancelFunc
	senders  sync.WaitGroup
}

// vendor is how a sender behaves.
type vendor struct {
	provider *verify.Provider
	kinds    []kind
	retries  int           // after the first attempt
	patience time.Duration // for an answer
	hangsUp  bool          // now and then, while it is being worked on
	slower   int           // than the others
}

// vendors are the senders of every scenario: Flock never sends again, Frigade waits a second and
// tries five times more.
var vendors = []vendor{
	{provider: &flock.Provider, patience: 5 * time.Second},
	{provider: &flock.Provider, patience: 5 * time.Second},
	{provider: &flock.Provider, patience: 5 * time.Second},
	{provider: &flock.Provider, patience: 5 * time.Second},
	{provider: &frigade.Provider, retries: 5, patience: time.Second},
	{provider: &frigade.Provider, retries: 5, patience: time.Second},
	{provider: &frigade.Provider, retries: 5, patience: time.Second, hangsUp: true},
	{provider: &flock.Provider, patience: 5 * time.Second, kinds: []kind{forged}, slower: 4},
	{provider: &frigade.Provider, patience: 5 * time.Second, kinds: []kind{forged}, slower: 4},
	{provider: &flock.Provider, patience: 5 * time.Second, kinds: []kind{unreadable, stale, contradiction}, slower: 8},
}

// start starts the senders.
func (l *load) start(ctx context.Context) {
	ctx, l.stop = context.WithCancel(ctx)
	for i, v := range vendors {
		l.senders.Go(func() { l.sends(ctx, i, v) })
	}
}

// end stops them after their current deliveries.
func (l *load) end() {
	l.stop()
	l.senders.Wait()
	l.client.CloseIdleConnections()
}

func (l *load) sends(ctx context.Context, sender int, v vendor) {
	rng := rand.New(rand.NewPCG(l.seed, uint64(sender)))
	for n := sender; ctx.Err() == nil; n++ {
		k := anEvent
		if len(v.kinds) > 0 {
			k = v.kinds[rng.IntN(len(v.kinds))]
		}
		p, err := compose(rng, k, v.provider, fmt.Sprintf("%s-%d-%d", l.run, sender, n))
		if err != nil {
			panic(err) // of this program
		}
		if k == anEvent {
			l.captured.Store(v.provider.Name, p.signatures[0])
		} else if captured, ok := l.captured.Load(v.provider.Name); ok && k == forged && rng.IntN(7) == 0 {
			p.signatures = []string{captured.(string)}
		}
		l.ledger.sends(p, sender, n)
		l.insists(ctx, rng, n, p, v)
		rest(ctx, time.Duration(rng.ExpFloat64()*float64(l.pace))*time.Duration(max(1, v.slower)))
	}
}

// insists sends a delivery as often as the vendor does.
func (l *load) insists(ctx context.Context, rng *rand.Rand, n int, p post, v vendor) {
	for attempt := 0; ; attempt++ {
		hangUp := time.Duration(0)
		if v.hangsUp && attempt == 0 && rng.IntN(2) == 0 {
			hangUp = time.Duration(1 + rng.Int64N(int64(10*time.Millisecond)))
		}
		a := l.client.deliver(l.pick(n+attempt), p, v.patience, hangUp)
		if a.excused == hungUp {
			l.ledger.tally.add(hungUp, 1)
		}
		l.ledger.answered(p, a)
		leaves := a.excused == hungUp && a.whole && rng.IntN(3) == 0 // for good: what it has sent is to be worked on all the same
		if a.err == nil && a.status < 500 || attempt == v.retries || leaves || ctx.Err() != nil {
			return
		}
		rest(ctx, 50*time.Millisecond<<attempt+time.Duration(rng.Int64N(int64(50*time.Millisecond))))
	}
}

// rest waits, or until the context ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
