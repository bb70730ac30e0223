/**
 * Runs a handler over the events that the bridge publishes: see {@link run}. An event is handled at least
 * once: when a worker dies or an acknowledgement is lost, it comes again. {@link once} makes its effect
 * happen exactly once. For an effect elsewhere, pass the event's id as the idempotency key.
 */
export type { Handler, Message } from './attempt.js'
export { parse, PermanentError } from './event.js'
export type { Event } from './event.generated.js'
export { once, type Store } from './once.js'
export type { Options, Outcome } from './options.js'
export { run } from './run.js'
export { type FlockBody, type FrigadeBody, isFlock, isFrigade } from './vendors.js'
