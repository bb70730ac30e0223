package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/ade15e70/webhook-bridge/event/consumer"
)

// reward gives a point to the person who accepted an invitation: an effect that must not happen
// twice.
func reward(ctx context.Context, tx *sql.Tx, m *consumer.Message) error {
	// With any other scheme the event's name is not signed: with an old delivery anybody can say
	// that something else happened.
	if m.Event.Signed != "payload" {
		return consumer.Permanent(fmt.Errorf("what happened isn't signed, only %s", m.Event.Signed))
	}
	if m.Event.UserID == "" {
		return consumer.Permanent(errors.New("it doesn't say whom it is about"))
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO points (userid, points) VALUES (?, 1)
		ON CONFLICT (userid) DO UPDATE SET points = points.points + 1`, m.Event.UserID)
	return err
}
