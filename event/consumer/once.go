package consumer

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
)

const insert = `INSERT INTO handled_events (consumer, id) VALUES ($1, $2) ON CONFLICT DO NOTHING`

// Store remembers in a database which events were handled, in a table of this form:
//
//	CREATE TABLE handled_events (consumer varchar(64) NOT NULL, id varchar(64) NOT NULL,
//	    handled_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (consumer, id))
//
// All workers of a durable need the same database. Rows must outlive the stream's events.
type Store struct {
	DB       *sql.DB
	Insert   string // unless set, for PostgreSQL and SQLite; MySQL: INSERT IGNORE INTO handled_events (consumer, id) VALUES (?, ?)
	Consumer string // unless set, the message's durable; a replay by another durable sets the first one's name, to repeat nothing
}

// Once runs the effect, unless the event was handled before, and reports whether it ran. One transaction
// stores the effect and the event's id: both, or neither.
func (s Store) Once(ctx context.Context, m *Message, effect func(*sql.Tx) error) (first bool, err error) {
	tx, err := s.DB.BeginTx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("beginning a transaction: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	inserted, err := tx.ExecContext(ctx, cmp.Or(s.Insert, insert), cmp.Or(s.Consumer, m.Durable), m.Event.ID)
	if err != nil {
		return false, fmt.Errorf("remembering event %s: %w", m.Event.ID, err)
	}
	if n, err := inserted.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	if err = effect(tx); err == nil {
		err = tx.Commit()
	}
	return err == nil, err
}
