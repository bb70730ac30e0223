import type { JetStreamClient, JsMsg } from '@nats-io/jetstream'
import { headers } from '@nats-io/nats-core'
import type { Message } from './message.js'
import type { Settings } from './options.js'

/**
 * Stores the message as a dead letter, once within the stream's duplicate window: its id is that of the
 * message in this very stream.
 */
export async function bury(js: JetStreamClient, s: Settings, raw: JsMsg, m: Message, why: Error): Promise<void> {
  const prefix = `${s.subjectPrefix}-dead.${m.durable}.`
  if (m.subject.startsWith(prefix)) return // it is one of this durable's: another would come to it again
  const dead = headers()
  for (const [name, values] of raw.headers ?? []) {
    if (name.toLowerCase().startsWith('nats-')) continue // by Nats-Expected-Stream it would be refused
    for (const value of values) dead.append(name, value)
  }
  const facts = {
    Reason: why.message.replace(/[^\x20-\x7e]/g, '?').slice(0, 500), Attempts: m.attempt, Durable: m.durable, Stream: m.stream,
    Subject: m.subject, Sequence: m.sequence, Time: new Date().toISOString(),
  }
  for (const [name, value] of Object.entries(facts)) dead.set(`Dead-${name}`, String(value))
  const rest = m.subject.startsWith(`${s.subjectPrefix}.`) ? m.subject.slice(s.subjectPrefix.length + 1) : m.subject
  try {
    await js.publish(prefix + rest, raw.data, {
      headers: dead, msgID: `${m.durable}:${m.stream}:${m.sequence}:${m.stored.getTime()}`, expect: { streamName: s.deadStream }, timeout: 10_000,
    })
  } catch (cause) {
    throw new Error('no dead letter could be stored, so the event stays (make room in the stream, or make it: nats stream add ' +
      `${s.deadStream} --subjects '${s.subjectPrefix}-dead.>' --defaults): ${(cause as Error).message}`, { cause })
  }
}
