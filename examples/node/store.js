import Database from 'libsql'

// The store has what the events did, and which of them did it. Every worker that handles events of
// one durable consumer must use the same store. SQLite stands for your database; the SQL is also
// PostgreSQL's, but for ? instead of $1.
export class Store {
  constructor(file) {
    this.db = new Database(file, { timeout: 10_000 }) // ms: writers wait for each other
    whileBusy(() => this.db.exec(`
      PRAGMA journal_mode = wal;
      PRAGMA synchronous = full; -- a commit is on the disk
      CREATE TABLE IF NOT EXISTS handled (id TEXT PRIMARY KEY, at TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS points (userid TEXT PRIMARY KEY, points INTEGER NOT NULL);`))
    this.mark = this.db.prepare('INSERT INTO handled (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING')
  }

  // once runs the effect of an event, unless it was run before, and says whether it was run. The mark
  // and the effect are one transaction: whatever dies in between, there are both or neither.
  once(id, effect) {
    return this.db.transaction(() => {
      if (this.mark.run(id, new Date().toISOString()).changes === 0) return false
      effect(this.db)
      return true
    }).immediate()
  }

  close() {
    this.db.close()
  }
}

// whileBusy tries again for some seconds: SQLite waits for other writers, but not for another worker that
// switches a new store to wal at the same time.
function whileBusy(run) {
  for (let tries = 100; ; tries--) {
    try {
      return run()
    } catch (error) {
      if (error.code !== 'SQLITE_BUSY' || tries === 0) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
    }
  }
}
