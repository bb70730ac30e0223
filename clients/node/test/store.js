import Database from 'libsql'

// open returns a Store of SQLite, and what its effects did: a point for each event.
export function open(file) {
  const db = new Database(file, { timeout: 60_000 })
  for (let tries = 100; ; tries--) { // SQLite doesn't wait for another that switches a new file to wal
    try {
      db.exec(`PRAGMA journal_mode = wal; PRAGMA synchronous = normal;
        CREATE TABLE IF NOT EXISTS handled_events (consumer TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (consumer, id));
        CREATE TABLE IF NOT EXISTS effects (n INTEGER NOT NULL);`)
      break
    } catch (error) {
      if (error.code !== 'SQLITE_BUSY' || tries === 0) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
    }
  }
  const insert = db.prepare('INSERT INTO handled_events (consumer, id) VALUES (?, ?) ON CONFLICT DO NOTHING')
  const effect = db.prepare('INSERT INTO effects (n) VALUES (?)')
  return {
    transaction: (work) => db.transaction(() => work(db)).immediate(),
    insert: (_, consumer, id) => insert.run(consumer, id).changes === 1,
    effect: (n) => effect.run(n),
    effects: () => db.prepare('SELECT n FROM effects ORDER BY n').all().map(({ n }) => n),
    close: () => db.close(),
  }
}
