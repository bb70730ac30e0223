import type { Message } from './message.js'

/**
 * A database that remembers which events were handled, in a table of this form:
 *
 *     CREATE TABLE handled_events (consumer varchar(64) NOT NULL, id varchar(64) NOT NULL,
 *         handled_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (consumer, id))
 *
 * All workers of a durable need the same database. Rows must outlive the stream's events.
 * With node-postgres:
 *
 *     const store = {
 *       async transaction(work) {
 *         const client = await pool.connect()
 *         try {
 *           await client.query('BEGIN')
 *           const result = await work(client)
 *           // After a query that failed, PostgreSQL rolls back here, and pg doesn't throw.
 *           const { command } = await client.query('COMMIT')
 *           if (command !== 'COMMIT') throw new Error('the transaction was rolled back')
 *           client.release()
 *           return result
 *         } catch (error) {
 *           client.release(true) // closes the connection, which rolls back
 *           throw error
 *         }
 *       },
 *       insert: async (tx, consumer, id) => (await tx.query(
 *         'INSERT INTO handled_events (consumer, id) VALUES ($1, $2) ON CONFLICT DO NOTHING', [consumer, id])).rowCount === 1,
 *     }
 */
export interface Store<Tx> {
  /** Runs a function in a transaction: commits when it is done, rolls back when it throws or rejects. */
  transaction<R>(work: (tx: Tx) => R): R
  /** Inserts a row unless it is there (ON CONFLICT DO NOTHING), and reports whether it did. */
  insert(tx: Tx, consumer: string, id: string): boolean | PromiseLike<boolean>
}

/**
 * Runs the effect, unless the event was handled before, and reports whether it did. The effect and the
 * event's id are one transaction: both are stored, or neither. With a synchronous database the effect must be
 * synchronous. `consumer` is the message's durable; a replay gives the first durable's name, to do only what
 * wasn't done.
 */
export async function once<Tx>(
  store: Store<Tx>, message: Message, effect: (tx: Tx) => unknown, consumer = message.durable,
): Promise<boolean> {
  return store.transaction((tx) => after(store.insert(tx, consumer, message.event.id), (first) =>
    first ? after(effect(tx), () => true) : false)) as boolean | Promise<boolean>
}

/**
 * Calls next with the value, at once if it is no promise. What has a `then` is a promise: queries of knex and
 * Prisma aren't instances of Promise, and begin when it is called.
 */
function after<T, R>(value: T | PromiseLike<T>, next: (value: T) => R): R | Promise<R> {
  const { then } = (value ?? {}) as Partial<PromiseLike<T>>
  return typeof then === 'function' ? Promise.resolve(value).then(next) as Promise<R> : next(value as T)
}
