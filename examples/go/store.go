package main

import (
	"context"
	"database/sql"
	"net/url"

	_ "modernc.org/sqlite" // the driver; SQLite stands for your database
)

const tables = `
CREATE TABLE IF NOT EXISTS points (userid varchar(64) PRIMARY KEY, points integer NOT NULL);
CREATE TABLE IF NOT EXISTS handled_events (consumer varchar(64) NOT NULL, id varchar(64) NOT NULL,
	handled_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (consumer, id));`

func openStore(ctx context.Context, file string) (*sql.DB, error) {
	// Writers wait for each other from the transaction's begin on, and a commit is on the disk.
	options := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "synchronous(full)"}}
	db, err := sql.Open("sqlite", "file:"+url.PathEscape(file)+"?"+options.Encode())
	if err == nil {
		_, err = db.ExecContext(ctx, tables)
	}
	return db, err
}
