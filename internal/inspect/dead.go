package inspect

import (
	"context"
	"time"
)

// deadLetters describes what consumers have put aside for good (docs/consumers.md).
type deadLetters struct {
	Stream   string    `json:"stream"`
	Messages uint64    `json:"messages"`
	Sequence uint64    `json:"sequence"` // of the last one
	Time     time.Time `json:"time"`
	Subject  string    `json:"subject"` // on which the consumer had it
	Reason   string    `json:"reason"`  // "" if the last one can't be read
}

// deadLetters returns the dead letters; nil if there are none, or the account has no right to them.
func (s *Server) deadLetters(ctx context.Context) *deadLetters {
	name := s.config.Stream + "_DEAD"
	stream, err := s.open(ctx, name)
	if err != nil || stream.CachedInfo().State.Msgs == 0 {
		return nil
	}
	state := stream.CachedInfo().State
	d := deadLetters{Stream: name, Messages: state.Msgs, Sequence: state.LastSeq, Time: state.LastTime}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if m, err := stream.GetMsg(ctx, d.Sequence); err == nil {
		d.Subject, d.Reason = m.Header.Get("Dead-Subject"), m.Header.Get("Dead-Reason")
	}
	return &d
}
