package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ade15e70/webhook-bridge/event"
)

// errPoison is of an event that no later try can handle.
var errPoison = errors.New("can't be handled")

// reward gives a point to the person that an accepted invitation is about: an effect that must not
// happen twice.
func reward(ctx context.Context, tx *sql.Tx, e event.Event) error {
	// With any other scheme the event's name is not signed: whoever holds an old delivery can say that
	// something else happened.
	if e.Signed != "payload" {
		return fmt.Errorf("%w: what happened isn't signed, only %s", errPoison, e.Signed)
	}
	// By the exact names: a struct would take what stands under "DATA", too.
	var user string
	if err := json.Unmarshal(e.Member("data", "invitee", "id"), &user); err != nil || user == "" {
		return errors.New("it doesn't say whom it is about")
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO points (userid, points) VALUES (?, 1)
		ON CONFLICT (userid) DO UPDATE SET points = points.points + 1`, user)
	return err
}
