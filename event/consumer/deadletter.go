package consumer

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// bury stores the message as a dead letter, once within the stream's duplicate window: its id is
// that of the message in this very stream.
func (w *worker) bury(ctx context.Context, raw jetstream.Msg, m *Message, why error) error {
	prefix := w.SubjectPrefix + "-dead." + m.Durable + "."
	if strings.HasPrefix(m.Subject, prefix) {
		return nil // it is one of this durable's: another would come to it again
	}
	dead := nats.NewMsg(prefix + strings.TrimPrefix(m.Subject, w.SubjectPrefix+"."))
	dead.Data = raw.Data()
	for name, values := range raw.Headers() {
		if !strings.HasPrefix(strings.ToLower(name), "nats-") { // by Nats-Expected-Stream it would be refused
			dead.Header[name] = values
		}
	}
	reason := strconv.QuoteToASCII(why.Error()) // what a header can hold
	for name, value := range map[string]any{
		"Reason": reason[1:min(len(reason)-1, 500)], "Attempts": m.Attempt, "Durable": m.Durable, "Stream": m.Stream,
		"Subject": m.Subject, "Sequence": m.Sequence, "Time": time.Now().UTC().Format(time.RFC3339),
	} {
		dead.Header.Set("Dead-"+name, fmt.Sprint(value))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second) // also when Run is to stop
	defer cancel()
	dead.Header.Set(jetstream.MsgIDHeader, fmt.Sprintf("%s:%s:%d:%d", m.Durable, m.Stream, m.Sequence, m.Stored.UnixMilli()))
	if _, err := w.js.PublishMsg(ctx, dead, jetstream.WithExpectStream(w.DeadStream)); err != nil {
		return fmt.Errorf("no dead letter could be stored, so the event stays (make room in the stream, or make it: "+
			"nats stream add %s --subjects '%s-dead.>' --defaults): %w", w.DeadStream, w.SubjectPrefix, err)
	}
	return nil
}
