import type { Message } from './attempt.js'

/**
 * A database that remembers which events were handled, in a table of this form:
 *
 *     CREATE TABLE handled_events (consumer varchar(64) NOT NULL, id varchar(64) NOT NULL,
 *         handled_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (consumer, id))
 *
 * All workers of a durable need the same database. Rows must outlive the stream's events.
 * examples/node/store.js has stores for SQLite and node-postgres.
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
