import type { JetStreamClient, JsMsg } from '@nats-io/jetstream'
import { bury } from './deadletter.js'
import { type Event, NotAnEventError, parse } from './event.js'
import type { Message } from './message.js'
import type { Settings } from './options.js'

/**
 * Handles one event. After an error the event comes again, unless the error is a PermanentError. The signal
 * is aborted after options.timeout, and when options.shutdownTimeout is over: the handler must then end.
 */
export type Handler = (message: Message, context: { signal: AbortSignal }) => unknown

/** An error that no later attempt can mend: the event becomes a dead letter at once. */
export class PermanentError extends Error {
  constructor(reason: string | Error) {
    super(typeof reason === 'string' ? reason : reason.message, typeof reason === 'string' ? {} : { cause: reason })
    this.name = 'PermanentError'
  }
}

/** The error of a handler that ended when another worker could have its event. */
class LateError extends Error {}

/**
 * Handles one delivery of an event. It ends with an acknowledgement, a later attempt or a dead letter. When
 * the worker dies before that, the server delivers the event again.
 */
export async function attempt(js: JetStreamClient, s: Settings, handler: Handler, raw: JsMsg, stopping: AbortSignal): Promise<void> {
  const began = performance.now()
  const took = () => performance.now() - began
  const m: Message = {
    event: {} as Event, payload: raw.data, subject: raw.subject, stream: raw.info.stream, durable: s.durable, sequence: raw.seq,
    stored: new Date(raw.timestamp), attempt: raw.info.deliveryCount, pending: raw.info.pending,
  }
  const failure = await handle(s, handler, raw, m, stopping)
  const about = { id: m.event.id, subject: m.subject, sequence: m.sequence, attempt: m.attempt }
  if (!failure) {
    raw.ack() // if it is lost, the event comes again
    void observed(s, () => s.observer.handled?.(m, took()))
    return
  }
  let pause = s.backoff(m.attempt), error = failure
  const isLate = failure instanceof LateError
  if (!isLate && (failure instanceof PermanentError || failure instanceof NotAnEventError || m.attempt >= s.maxAttempts)) {
    try {
      await bury(js, s, raw, m, failure)
      raw.term()
      s.logger.error('dead letter', { ...about, reason: failure.message })
      void observed(s, () => s.observer.dead?.(m, took(), failure))
      return
    } catch (unstored) { // somebody must make room
      error = unstored as Error
      pause = Math.max(pause, 5_000)
    }
  }
  // Late, a nak would give the event to a third worker. With a fraction, as jitter makes, the event would come at once.
  if (!isLate) raw.nak(Math.round(pause))
  s.logger.warn('failed, to be tried again', { ...about, error: error.message, pause })
  void observed(s, () => s.observer.retried?.(m, took(), error))
}

/** Calls the observer. Its errors, also asynchronous ones, end nothing. */
async function observed(s: Settings, call: () => unknown): Promise<void> {
  try {
    await call()
  } catch (error) {
    s.logger.error('the observer failed', { error: String(error) })
  }
}

/**
 * Calls the handler and returns its error, after a look at the attempts: an event may kill each worker that
 * has it. Node can't end a handler that ignores its signal: this waits for it, and another worker gets the
 * event.
 */
async function handle(s: Settings, handler: Handler, raw: JsMsg, m: Message, stopping: AbortSignal): Promise<Error | undefined> {
  const call = new AbortController()
  // AbortSignal.any would keep each signal that has a listener until the worker ends (Node 20).
  const stop = () => call.abort(stopping.reason)
  let told = performance.now()
  const keep = setInterval(() => { // so the server gives it to no other worker
    raw.working()
    told = performance.now()
  }, s.ackWait / 3)
  const late = setTimeout(() => {
    call.abort(new Error(`the handler took longer than ${s.timeout} ms`))
    s.logger.error('the handler takes longer than its time-out; no other event is begun in its place until it ends', {
      id: m.event.id, subject: m.subject, sequence: m.sequence, attempt: m.attempt, timeout: s.timeout,
    })
  }, s.timeout)
  const clear = () => {
    clearInterval(keep)
    clearTimeout(late)
  }
  call.signal.addEventListener('abort', clear, { once: true })
  stopping.addEventListener('abort', stop, { once: true })
  if (stopping.aborted) stop()
  try {
    m.event = parse(raw.data)
    if (m.attempt > s.maxAttempts) throw new PermanentError(`delivered ${m.attempt - 1} times, and never handled to the end`)
    await handler(m, { signal: call.signal })
    return undefined
  } catch (error) {
    const why = error instanceof Error ? error : new Error(String(error))
    if (performance.now() - told >= s.ackWait) return new LateError(`the handler ended too late to count: ${why.message}`, { cause: why })
    if (why instanceof PermanentError) return why
    const { aborted, reason } = call.signal
    return aborted && why !== reason ? new Error(`${reason.message}: ${why.message}`, { cause: why }) : why
  } finally {
    clear()
    stopping.removeEventListener('abort', stop)
  }
}
