import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer, JetStreamClient, JsMsg } from '@nats-io/jetstream'
import { attempt, type Handler } from './attempt.js'
import { begin, codes, isAway, isCode } from './durable.js'
import { doubling, type Options, type Settings, withDefaults } from './options.js'

const pullWait = 2_000 // ms: how long a pull waits for an event, and so a stop for a pull

/**
 * Handles events until options.signal is aborted, and returns when all handlers have ended. While NATS is away
 * it waits, and says so in the log; connect with waitOnFirstConnect to begin before NATS. It throws if waiting
 * doesn't help, or if a handler doesn't end.
 */
export async function run(js: JetStreamClient, options: Options, handler: Handler): Promise<void> {
  const s = withDefaults(options)
  let from: Consumer | undefined
  for (let failed = 1; !from; failed++) {
    try {
      from = await begin(js, s)
    } catch (error) {
      if (s.signal?.aborted) return // it was stopped before it began
      if (!isAway(error)) throw error
      await pause(s, failed, "JetStream doesn't answer, trying again", error, s.signal)
      if (s.signal?.aborted) return
    }
  }
  s.logger.info('consuming', { stream: s.stream, durable: s.durable, filters: s.filters })

  const pulling = new AbortController(), stopping = new AbortController()
  setMaxListeners(0, pulling.signal, stopping.signal) // one for each handler, and they are taken away
  const stop = () => pulling.abort()
  if (s.signal?.aborted) stop()
  s.signal?.addEventListener('abort', stop, { once: true })
  // A loop for each handler that may run at once; each pulls an event when it can begin it.
  const loops = Array.from({ length: s.concurrency }, async () => {
    try {
      await consume(js, s, from, handler, pulling.signal, stopping.signal)
    } catch (error) {
      pulling.abort(error)
    }
  })
  const ended = Promise.all(loops)
  await new Promise<void>((resolve) => {
    if (pulling.signal.aborted) resolve()
    pulling.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  s.signal?.removeEventListener('abort', stop)
  if (!await within(s.shutdownTimeout, ended)) {
    stopping.abort(new Error('the worker is stopping'))
    if (!await within(pullWait + 2_000, ended)) { // for those that heed their signal, and a pull
      throw new Error(`stopping: a handler is still running after ${s.shutdownTimeout} ms; its event comes again: end it with its signal, or raise options.shutdownTimeout`)
    }
  }
  await within(pullWait, from.info().catch(() => undefined)) // then the acknowledgements before it have arrived
  if (!s.signal?.aborted) throw pulling.signal.reason
}

/** Handles one event after the other until pulling is aborted. It throws if it can't go on. */
async function consume(
  js: JetStreamClient, s: Settings, from: Consumer, handler: Handler, pulling: AbortSignal, stopping: AbortSignal,
): Promise<void> {
  for (let failed = 0; !pulling.aborted;) {
    let raw
    try {
      raw = await pull(from)
    } catch (error) {
      await gone(s, from, error as Error, pulling)
      failed++
      await pause(s, failed, 'pulling failed, trying again', error, pulling)
      continue
    }
    failed = 0
    // Also when a stop came first: given back, it would have lost an attempt.
    if (raw) await attempt(js, s, handler, raw, stopping)
  }
}

/** Returns an event, or undefined if none came for a while. */
async function pull(from: Consumer): Promise<JsMsg | undefined> {
  const batch = await from.fetch({ max_messages: 1, expires: pullWait })
  const late = setTimeout(() => batch.close(), pullWait + 1_000) // when the connection is lost it would wait for the next
  try {
    for await (const raw of batch) return raw
  } finally {
    clearTimeout(late)
  }
  return undefined
}

/** Throws if there is nothing left to pull from. A starting server looks the same. */
async function gone(s: Settings, from: Consumer, error: Error, pulling: AbortSignal): Promise<void> {
  if (error.name === 'ClosedConnectionError') {
    throw new Error(`consuming: the connection to NATS is closed`, { cause: error })
  }
  const failure = await Promise.race([
    from.info().then(() => undefined, (failure: unknown) => failure),
    sleep(5_000, undefined, { signal: pulling }).catch(() => undefined),
  ])
  if (isCode(failure, codes.consumerNotFound, codes.streamNotFound)) {
    throw new Error(`consuming: consumer ${s.durable} of stream ${s.stream} was deleted, and its position with it; another run ` +
      'makes it anew, from options.since on', { cause: failure })
  }
}

/** Logs an error and waits before the next try. */
async function pause(s: Settings, failed: number, what: string, error: unknown, signal?: AbortSignal): Promise<void> {
  s.logger.warn(what, { durable: s.durable, error: (error as Error).message })
  await sleep(doubling(100, 5_000)(failed), undefined, { signal }).catch(() => undefined)
}

/** Reports whether the promise settles before the time is over. */
async function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
  const timer = new AbortController()
  const late = sleep(ms, false, { signal: timer.signal }).catch(() => false)
  const done = await Promise.race([promise.then(() => true), late])
  timer.abort()
  return done
}
