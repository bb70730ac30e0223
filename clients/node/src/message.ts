import type { Event } from './event.js'

/** An event as it was delivered to this worker. */
export interface Message {
  event: Event
  payload: Uint8Array // for dataText
  subject: string // in NATS: webhooks.{endpoint}.{event}
  stream: string
  durable: string // the consumer's name
  sequence: number // in the stream; a stream that is made anew begins with 1
  stored: Date // when the stream stored it
  attempt: number // 1 is the first; one that a worker's death cut short counts, too
  pending: number // how many events wait behind it
}

/** The span that published an event, for a consumer's span to link to. Flags 1 means sampled. */
export interface Trace { traceId: string, spanId: string, flags: number, state: string }

/**
 * Returns the event's trace, undefined if it has none that can be read
 * (https://www.w3.org/TR/trace-context/#traceparent-header). OpenTelemetry takes it as a link:
 * `{ context: { traceId, spanId, traceFlags: flags, isRemote: true } }`.
 */
export function trace(event: Event): Trace | undefined {
  const found = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(event.traceparent ?? '')
  const [, traceId = '', spanId = '', flags = ''] = found ?? []
  if (!found || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { traceId, spanId, flags: parseInt(flags, 16), state: event.tracestate ?? '' }
}
