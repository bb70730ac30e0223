package publish

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// room limits the deliveries answered 401 in the quarantine's stream, so that they never displace deliveries
// answered 200: a full stream drops its oldest messages of either kind. While the stream has deliveries
// answered 200, those answered 401 may fill only half of it.
//
// The monitor's checks say how full the stream is, and need no more rights than publishing does. Between two
// checks the room admits at most a sixteenth of the stream, and one message. So several instances that check
// at the same moment still displace nothing (ADR 10).
type room struct {
	reason string // the last token of the subjects of deliveries answered 200
	limit  int64  // QUARANTINE_MAX_BYTES; 0: none. A smaller limit of the stream itself counts instead
	check  func() // requests a check of the stream

	mu       sync.Mutex
	left     int64 // bytes that still fit
	step     int64 // bytes that may still be admitted before the next check
	admitted int64 // bytes admitted since the last check began
}

const (
	roomSteps = 16
	// storeOverhead is more than a stream's store adds to a message: nats-server's fileStoreMsgSize
	// counts the subject, the length of the headers and a checksum.
	storeOverhead = 512
)

var errRoomUsed = errors.New("it is not known yet how full the quarantine is")

// ready returns an [Error] while a message must wait for the next check.
func (r *room) ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left > 0 && r.step <= 0 {
		r.check()
		return &Error{Busy, errRoomUsed}
	}
	return nil
}

// admit returns nil if a message of that size may be published, and counts the message then.
func (r *room) admit(size int64) error {
	if err := r.ready(); err != nil {
		return err
	}
	size += storeOverhead
	r.mu.Lock()
	defer r.mu.Unlock()
	if size > r.left {
		if r.admitted > 0 {
			r.check()
		}
		return &Error{NoRoom, fmt.Errorf("%d bytes, but only %d fit", size, max(r.left, 0))}
	}
	r.left -= size
	r.step -= size
	r.admitted += size
	return nil
}

// begin begins a check. It may not see the messages that are admitted from now on.
func (r *room) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.admitted = 0
}

// update computes the room from the result of a check.
func (r *room) update(info *jetstream.StreamInfo) {
	limit := int64(math.MaxInt64)
	for _, bytes := range []int64{r.limit, info.Config.MaxBytes} {
		if bytes > 0 {
			limit = min(limit, bytes)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left, r.step = limit, limit/roomSteps-r.admitted
	for subject := range info.State.Subjects {
		if !strings.HasSuffix(subject, "."+r.reason) {
			continue
		}
		r.left = limit/2 - int64(info.State.Bytes)
		if limit := info.Config.MaxMsgs; limit > 0 && int64(info.State.Msgs) >= limit/2 {
			r.left = 0
		}
	}
	r.left -= r.admitted
}
