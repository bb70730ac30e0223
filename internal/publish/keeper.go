package publish

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// keeper looks after the stream: on every connection, and whenever a publish says that something is
// wrong with it, it is checked, and made when it is missing, again and again until it is as it must
// be.
type keeper struct {
	stream Stream
	log    *zap.Logger

	wanted     chan struct{} // a check is wanted; holds at most one
	verified   atomic.Bool
	maxMessage atomic.Int64 // the stream's max_msg_size; 0: none
	lastError  atomic.Pointer[error]

	cancel context.CancelFunc
	done   sync.WaitGroup
}

const (
	checkTimeout  = 5 * time.Second
	firstRetry    = 250 * time.Millisecond
	longestRetry  = 5 * time.Second
	checkInterval = time.Minute // somebody may change or remove the stream while nothing is published
)

var errUnchecked = errors.New("the stream has not been checked yet")

func newKeeper(stream Stream, log *zap.Logger) *keeper {
	return &keeper{stream: stream, log: log, wanted: make(chan struct{}, 1)}
}

// start begins to look after the stream. A check may have been asked for before.
func (k *keeper) start(js jetstream.JetStream) {
	ctx, cancel := context.WithCancel(context.Background())
	k.cancel = cancel
	k.done.Go(func() { k.run(ctx, js) })
}

func (k *keeper) stop() {
	k.cancel()
	k.done.Wait()
}

// check asks for a check and doesn't wait for it.
func (k *keeper) check() {
	select {
	case k.wanted <- struct{}{}:
	default: // one is asked for already
	}
}

// forget says that nothing is known of the stream any more.
func (k *keeper) forget() { k.verified.Store(false) }

// ready returns nil while the stream is known to be as it must be.
func (k *keeper) ready() error {
	if k.verified.Load() {
		return nil
	}
	if err := k.lastError.Load(); err != nil {
		return *err
	}
	return errUnchecked
}

// run checks when asked to, and after a failure again by itself.
func (k *keeper) run(ctx context.Context, js jetstream.JetStream) {
	var logged []string // the differences that were logged last
	wait := firstRetry
	timer := time.NewTimer(checkInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wanted:
		case <-timer.C:
			if !js.Conn().IsConnected() {
				timer.Reset(longestRetry) // the next connection asks for a check
				continue
			}
		}
		attempt, cancel := context.WithTimeout(ctx, checkTimeout)
		config, differences, err := k.stream.ensure(attempt, js)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if js.Conn().IsConnected() { // otherwise the connection is what failed, and it says so itself
				k.failed(err)
			}
			timer.Reset(wait)
			wait = min(2*wait, longestRetry)
		} else {
			if !slices.Equal(differences, logged) && len(differences) > 0 {
				k.log.Warn("stream differs from the configuration and was left so", zap.String("stream", k.stream.Name), zap.Strings("differences", differences))
			}
			logged = differences
			k.succeeded(config)
			timer.Reset(checkInterval)
			wait = firstRetry
		}
		// A thousand publishes that fail together ask for one check, not for a thousand.
		select {
		case <-ctx.Done():
			return
		case <-time.After(firstRetry):
		}
	}
}

func (k *keeper) failed(err error) {
	k.verified.Store(false)
	if known := k.lastError.Swap(&err); known == nil || (*known).Error() != err.Error() {
		k.log.Error("stream is not ready", zap.Error(err))
	}
}

func (k *keeper) succeeded(config jetstream.StreamConfig) {
	k.maxMessage.Store(int64(max(config.MaxMsgSize, 0)))
	k.lastError.Store(nil)
	if !k.verified.Swap(true) {
		k.log.Info("stream is ready", zap.String("stream", config.Name), zap.Strings("subjects", config.Subjects), zap.Int("replicas", config.Replicas), zap.Duration("duplicates", config.Duplicates))
	}
}
