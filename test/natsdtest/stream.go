package natsdtest

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// CreateStream creates a stream. A server that has just deleted a stream of that name may still be
// removing its files, and then can't make the new one's (seen with 2.15.2): it is asked again.
func CreateStream(ctx context.Context, js jetstream.JetStream, conf jetstream.StreamConfig) (jetstream.Stream, error) {
	const storeFailed = 10049
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		stream, err := js.CreateStream(ctx, conf)
		var api *jetstream.APIError
		if !errors.As(err, &api) || api.ErrorCode != storeFailed || time.Now().After(deadline) {
			return stream, err
		}
	}
}
