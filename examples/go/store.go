package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"modernc.org/sqlite" // the driver, too
	sqlite3 "modernc.org/sqlite/lib"
)

// store has what the events did, and which of them did it. Every worker that handles events of one
// durable consumer must use the same store. SQLite stands for your database; the SQL is also
// PostgreSQL's, but for ? instead of $1.
type store struct{ db *sql.DB }

const schema = `
CREATE TABLE IF NOT EXISTS handled (id TEXT PRIMARY KEY, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS points (userid TEXT PRIMARY KEY, points INTEGER NOT NULL);`

func openStore(ctx context.Context, file string) (*store, error) {
	// Writers wait for each other, from the transaction's begin on; a commit is on the disk.
	options := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "journal_mode(wal)", "synchronous(full)"}}
	db, err := sql.Open("sqlite", "file:"+url.PathEscape(file)+"?"+options.Encode())
	if err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	// SQLite waits for other writers, but not for another worker that switches a new store to wal at the same time.
	_, err = db.ExecContext(ctx, schema)
	for tries := 0; isBusy(err) && tries < 100 && ctx.Err() == nil; tries++ {
		time.Sleep(50 * time.Millisecond)
		_, err = db.ExecContext(ctx, schema)
	}
	if err != nil {
		_ = db.Close() // the first error says more
		return nil, fmt.Errorf("opening store: %w", err)
	}
	return &store{db}, nil
}

func isBusy(err error) bool {
	busy, ok := errors.AsType[*sqlite.Error](err)
	return ok && busy.Code()&0xff == sqlite3.SQLITE_BUSY
}

// once runs the effect of an event, unless it was run before, and reports whether it was run. The mark
// and the effect are one transaction: whatever dies in between, there are both or neither.
func (s *store) once(ctx context.Context, id string, effect func(*sql.Tx) error) (bool, error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	marked, err := tx.ExecContext(ctx, `INSERT INTO handled (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING`, id, time.Now().UTC().Format(time.RFC3339))
	if err != nil {
		return false, err
	}
	if n, err := marked.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	if err := effect(tx); err != nil {
		return false, err
	}
	return true, tx.Commit()
}
