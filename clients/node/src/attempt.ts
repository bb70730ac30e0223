import type { Consumer, JetStreamClient, JetStreamPublishOptions, JsMsg } from '@nats-io/jetstream'
import { headers } from '@nats-io/nats-core'
import { codes, isCode, isDenied } from './durable.js'
import { parse, PermanentError } from './event.js'
import type { Event } from './event.generated.js'
import type { Outcome, Settings } from './options.js'

/** An event as it was delivered to this worker. */
export interface Message {
  event: Event // its traceparent and tracestate name the span to link to
  payload: Uint8Array // the event's text; numbers in event.data are doubles
  subject: string // in NATS: webhooks.{endpoint}.{event}
  stream: string
  durable: string // the consumer's name
  sequence: number // in the stream; a stream that was deleted and made again begins with 1
  stored: Date // when the stream stored it
  attempt: number // 1 is the first; an attempt counts even if its worker died
  pending: number // how many events wait behind it
}

/**
 * Handles one event. After an error the event comes again, unless the error is a PermanentError. The signal
 * is aborted after options.timeout, and when options.shutdownTimeout is over: the handler must then end.
 */
export type Handler = (message: Message, context: { signal: AbortSignal }) => unknown

/** One run. */
export interface Worker extends Settings { js: JetStreamClient, from: Consumer, handler: Handler }

/** The error of a handler that ended when another worker could have its event. */
class LateError extends Error {}

/**
 * Handles one delivery of an event. It ends with an acknowledgement, a later attempt or a dead letter. When
 * the worker dies before that, the server delivers the event again.
 */
export async function attempt(w: Worker, raw: JsMsg, stopping: AbortSignal): Promise<void> {
  if (raw.data.length === 0 && raw.headers?.has('Nats-Marker-Reason')) return raw.ack() // of a stream with subject_delete_marker_ttl: no event
  const began = performance.now()
  const m: Message = {
    event: {} as Event, payload: raw.data, subject: raw.subject, stream: raw.info.stream, durable: w.durable, sequence: raw.seq,
    stored: new Date(raw.timestamp), attempt: raw.info.deliveryCount, pending: raw.info.pending,
  }
  let [outcome, error]: [Outcome, Error?] = ['handled', await handle(w, raw, m, stopping)]
  if (error) [outcome, error] = await failed(w, raw, m, error)
  else raw.ack() // if it is lost, the event comes again
  // Its errors, also asynchronous ones, end nothing.
  void (async () => w.observer?.(m, outcome, performance.now() - began, error))()
    .catch((bug: unknown) => w.logger.error('the observer failed', { error: String(bug) }))
}

const about = (m: Message) => ({ id: m.event.id, subject: m.subject, sequence: m.sequence, attempt: m.attempt })

/** Makes a dead letter of an event that will always fail, or leaves it for a later attempt. */
async function failed(w: Worker, raw: JsMsg, m: Message, error: Error): Promise<[Outcome, Error]> {
  let pause = Math.min(w.backoff * 2 ** (m.attempt - 1), 300_000)
  const isLate = error instanceof LateError
  if (!isLate && (error instanceof PermanentError || m.attempt >= w.maxAttempts)) {
    try {
      await bury(w, raw, m, error)
      raw.term()
      w.logger.error('dead letter', { ...about(m), reason: error.message })
      return ['dead', error]
    } catch (unstored) { // somebody must make room
      error = new Error(`${(unstored as Error).message}: ${error.message}`, { cause: error })
      pause = Math.max(pause, 5_000)
    }
  }
  if (!isLate) raw.nak(Math.round(pause)) // late, it would give the event to a third worker
  w.logger.warn('failed, to be tried again', { ...about(m), error: error.message, pause })
  return ['retried', error]
}

/**
 * Calls the handler and returns its error, after a look at the attempts: an event may kill each worker that
 * has it. Node can't end a handler that ignores its signal: this waits for it, and another worker gets the
 * event.
 */
async function handle(w: Worker, raw: JsMsg, m: Message, stopping: AbortSignal): Promise<Error | undefined> {
  const call = new AbortController()
  // AbortSignal.any would keep each signal that has a listener until the worker ends (Node 20).
  const stop = () => call.abort(stopping.reason)
  let told = performance.now() // when the server last learned that the event is being handled
  const keep = setInterval(async () => {
    const now = performance.now()
    raw.working()
    const arrived = await w.from.info().then(() => true, () => false)
    if (arrived && now - told < w.ackWait) told = now // later, another worker may have had the event
  }, w.ackWait / 3)
  const late = setTimeout(() => {
    call.abort(new Error(`the handler took longer than ${w.timeout} ms`))
    w.logger.error('the handler takes longer than its time-out; no other event is begun in its place until it ends',
      { ...about(m), timeout: w.timeout })
  }, w.timeout)
  const clear = () => {
    clearInterval(keep)
    clearTimeout(late)
  }
  call.signal.addEventListener('abort', clear, { once: true })
  stopping.addEventListener('abort', stop, { once: true })
  if (stopping.aborted) stop()
  try {
    m.event = parse(raw.data)
    if (m.attempt > w.maxAttempts) throw new PermanentError(`delivered ${m.attempt - 1} times, and never handled to the end: see the workers' logs`)
    await w.handler(m, { signal: call.signal })
    return undefined
  } catch (error) {
    const why = error instanceof Error ? error : new Error(String(error))
    // The server counts from when it sent the event, which a busy machine notices late: hence a third less.
    if (performance.now() - told >= w.ackWait * 2 / 3) return new LateError(`the handler ended too late to count: ${why.message}`, { cause: why })
    if (why instanceof PermanentError) return why
    const { aborted, reason } = call.signal
    return aborted && why !== reason ? new Error(`${reason.message}: ${why.message}`, { cause: why }) : why
  } finally {
    clear()
    stopping.removeEventListener('abort', stop)
  }
}

/**
 * Stores the message as a dead letter. Its id is made of the message's position, so within the duplicate window
 * of the stream of dead letters it is stored once.
 */
export async function bury(w: Pick<Worker, 'js' | 'subjectPrefix' | 'deadStream'>, raw: JsMsg, m: Message, why: Error): Promise<void> {
  const prefix = `${w.subjectPrefix}-dead.${m.durable}.`
  if (m.subject.startsWith(prefix)) return // it is a dead letter of this durable, which would get the new one too
  const reason = JSON.stringify(why.message).slice(1, -1) // what a header can hold
    .replace(/[^ -~]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'))
  const dead = headers()
  for (const [name, value] of Object.entries({
    'Content-Type': raw.headers?.get('Content-Type') ?? '', 'Dead-Reason': reason.slice(0, 500),
    'Dead-Attempts': m.attempt, 'Dead-Durable': m.durable, 'Dead-Stream': m.stream, 'Dead-Subject': m.subject,
    'Dead-Sequence': m.sequence, 'Dead-Time': new Date().toISOString(),
  })) dead.set(name, String(value))
  const rest = m.subject.startsWith(`${w.subjectPrefix}.`) ? m.subject.slice(w.subjectPrefix.length + 1) : m.subject
  const store = async (more?: Partial<JetStreamPublishOptions>) => {
    const ack = await w.js.publish(prefix + rest, raw.data, {
      ...more, msgID: `${m.durable}:${m.stream}:${m.sequence}:${m.stored.getTime()}`,
      expect: { streamName: w.deadStream }, timeout: 10_000,
    })
    if (ack.seq === 0) throw new Error('the stream is still storing it') // nats-server 2.10: a duplicate of one that it may yet fail to store
  }
  try {
    await store({ headers: dead }).catch((error: unknown) => {
      if (!isTooLarge(error)) throw error
      return store() // the event itself fits: without these headers it is hardly larger than it was
    })
  } catch (cause) {
    const remedy = isTooLarge(cause) ? `raise max_payload of the server, or max_msg_size of the stream ${w.deadStream}`
      : isDenied(cause) ? `permit its user to publish on ${prefix}>`
      : `make room in the stream, or make it: nats stream add ${w.deadStream} --subjects '${w.subjectPrefix}-dead.>' --defaults`
    throw new Error(`no dead letter could be stored, so the event stays (${remedy}): ${(cause as Error).message}`, { cause })
  }
}

/** Reports whether a message was larger than the server or the stream takes. */
const isTooLarge = (error: unknown) => isCode(error, codes.messageTooLarge) || /max_payload/.test((error as Error).message)
