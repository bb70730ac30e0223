/**
 * Runs a handler over the events that the bridge publishes: see {@link run}. An event is handled at least
 * once: when a worker dies or an acknowledgement is lost, it comes again. {@link once} makes its effect
 * happen exactly once. For an effect elsewhere, pass the event's id as the idempotency key.
 */
export { type Handler, PermanentError } from './attempt.js'
export { dataText, type Event, NotAnEventError, parse } from './event.js'
export { type Message, type Trace, trace } from './message.js'
export { once, type Store } from './once.js'
export { doubling, type Logger, type Observer, type Options } from './options.js'
export { run } from './run.js'
export { type FlockBody, type FrigadeBody, isFlock, isFrigade } from './vendors.js'
