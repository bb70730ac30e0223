import Database from 'libsql'

// openStore opens the database, which has the effects and the ids of the events that were handled. SQLite
// stands for yours. With node-postgres a store is:
//
//   async transaction(work) {
//     const client = await pool.connect()
//     try {
//       await client.query('BEGIN')
//       const result = await work(client)
//       // After a query that failed, PostgreSQL rolls back here, and pg doesn't throw.
//       const { command } = await client.query('COMMIT')
//       if (command !== 'COMMIT') throw new Error('the transaction was rolled back')
//       client.release()
//       return result
//     } catch (error) {
//       client.release(true) // closes the connection, which rolls back
//       throw error
//     }
//   },
//   insert: async (tx, consumer, id) => (await tx.query(
//     'INSERT INTO handled_events (consumer, id) VALUES ($1, $2) ON CONFLICT DO NOTHING', [consumer, id])).rowCount === 1,
export function openStore(file) {
  const db = new Database(file, { timeout: 10_000 }) // ms: writers wait for each other
  whileBusy(() => db.exec(`
    PRAGMA journal_mode = wal;
    PRAGMA synchronous = full; -- a commit is on the disk
    CREATE TABLE IF NOT EXISTS handled_events (consumer TEXT NOT NULL, id TEXT NOT NULL,
      handled_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (consumer, id));
    CREATE TABLE IF NOT EXISTS points (userid TEXT PRIMARY KEY, points INTEGER NOT NULL);`))
  const insert = db.prepare('INSERT INTO handled_events (consumer, id) VALUES (?, ?) ON CONFLICT DO NOTHING')
  return {
    transaction: (work) => db.transaction(() => work(db)).immediate(),
    insert: (_, consumer, id) => insert.run(consumer, id).changes === 1,
    close: () => db.close(),
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
