import { once, setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer, JetStreamClient, JsMsg } from '@nats-io/jetstream'
import { attempt, type Handler, type Worker } from './attempt.js'
import { begin, codes, isAway, isCode } from './durable.js'
import { type Options, type Settings, withDefaults } from './options.js'

const pullWait = 2_000 // ms: how long a pull waits for an event, and so a stop for a pull
const goneWait = 10_000 // ms: a consumer that isn't found for so long was deleted
const logEvery = 60_000 // ms, for a failure that lasts

/**
 * Handles events until options.signal is aborted, and returns when all handlers have ended. While NATS is away,
 * and until the stream exists, it waits and says so in the log; connect with waitOnFirstConnect to begin before
 * NATS. It throws if waiting doesn't help, or if a handler doesn't end.
 */
export async function run(js: JetStreamClient, options: Options, handler: Handler): Promise<void> {
  if (typeof handler !== 'function') throw new TypeError('run has no handler: each event would fail')
  const s = withDefaults(options), failed = new AbortController(), stopping = new AbortController()
  const signal = s.signal ?? stopping.signal // which isn't aborted before
  let from: Consumer | undefined
  while (!from) {
    try {
      from = await begin(js, s)
    } catch (error) {
      if (!signal.aborted && !isAway(error)) throw error
      if (!signal.aborted) await pause(s, "can't begin yet, trying again", error, signal)
      if (signal.aborted) return // it was stopped before it began
    }
  }
  s.logged.clear()
  s.logger.info('consuming', { stream: s.stream, durable: s.durable, filters: s.filters })

  const pulling = AbortSignal.any([signal, failed.signal])
  setMaxListeners(0, pulling, stopping.signal) // one for each handler, and they are taken away
  // A loop for each handler that may run at once; each pulls an event when it can begin it.
  const worker = { ...s, js, from, handler }
  const loop = () => consume(worker, pulling, stopping.signal).catch((error) => failed.abort(error))
  const ended = Promise.all(Array.from({ length: s.concurrency }, loop))
  if (!pulling.aborted) await once(pulling, 'abort')
  if (!await within(s.shutdownTimeout, ended)) {
    stopping.abort(new Error('the worker is stopping'))
    if (!await within(pullWait + 2_000, ended)) { // for those that heed their signal, and a pull
      throw new Error(`stopping: a handler is still running after ${s.shutdownTimeout} ms; its event comes again: ` +
        'end it with its signal, or raise options.shutdownTimeout')
    }
  }
  await within(pullWait, from.info().catch(() => undefined)) // then the acknowledgements before it have arrived
  if (!s.signal?.aborted) throw failed.signal.reason
}

/** Handles one event after the other until pulling is aborted. It throws if it can't go on. */
async function consume(w: Worker, pulling: AbortSignal, stopping: AbortSignal): Promise<void> {
  while (!pulling.aborted) {
    let raw: JsMsg | undefined
    try {
      raw = await pull(w.from)
    } catch (error) {
      await gone(w, error as Error, pulling)
      await pause(w, 'pulling failed, trying again', error, pulling)
      continue
    }
    if (w.logged.size > 0) w.logger.info('pulling works again', { durable: w.durable })
    w.logged.clear()
    // Even if run is to stop now: given back, the event would have lost an attempt.
    if (raw) await attempt(w, raw, stopping)
  }
}

/** Returns an event, or undefined if none came for a while. */
async function pull(from: Consumer): Promise<JsMsg | undefined> {
  const batch = await from.fetch({ max_messages: 1, expires: pullWait })
  let isSilent = false // when the connection is lost it would wait for the next
  const end = () => { isSilent = true; void batch.close() }
  const late = setTimeout(() => setImmediate(end), pullWait + 1_000) // after what has come while a handler held up the process
  try {
    for await (const raw of batch) return raw
  } finally {
    clearTimeout(late)
  }
  if (isSilent) throw new Error('NATS does not answer')
  return undefined
}

/**
 * Throws if there is nothing left to pull from. It asks, because pulls fail in the same way while a server starts;
 * and more than once, because servers of a cluster that start don't find the consumer at first.
 */
async function gone(w: Worker, error: Error, pulling: AbortSignal): Promise<void> {
  if (error.name === 'ClosedConnectionError') {
    throw new Error(`consuming: the connection to NATS is closed`, { cause: error })
  }
  for (const began = performance.now(); ;) {
    const failure = await Promise.race([
      w.from.info().then(() => undefined, (failure: unknown) => failure),
      sleep(5_000, undefined, { signal: pulling }).catch(() => undefined),
    ])
    if (!isCode(failure, codes.consumerNotFound, codes.streamNotFound)) return
    if (performance.now() - began >= goneWait) {
      throw new Error(`consuming: consumer ${w.durable} of stream ${w.stream} was deleted, and its position with it; another run ` +
        'makes it anew, from options.since on', { cause: failure })
    }
    await pause(w, "the consumer isn't found, asking again", failure, pulling)
  }
}

/** Logs a failure, unless it was just logged, and waits before the next try. */
async function pause(s: Settings, what: string, error: unknown, signal: AbortSignal): Promise<void> {
  const { message } = error as Error, failure = what + message, now = performance.now()
  if (now - (s.logged.get(failure) ?? -Infinity) >= logEvery) {
    s.logged.set(failure, now)
    s.logger.warn(what, { durable: s.durable, error: message })
  }
  await sleep(1_000, undefined, { signal }).catch(() => undefined)
}

/** Reports whether the promise is fulfilled before the time is over. */
async function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
  const timer = new AbortController()
  const late = sleep(ms, false, { signal: timer.signal })
  return Promise.race([promise.then(() => true), late]).finally(() => timer.abort())
}
