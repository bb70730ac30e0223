import { attributes, type Event, required } from './event.generated.js'

/** An error that no later attempt can mend: the event becomes a dead letter at once. */
export class PermanentError extends Error {
  override name = 'PermanentError'
}

const notAnEvent = (reason: string) => new PermanentError(`reading event: ${reason}`)

/**
 * Reads the payload of a message that the bridge published. It throws a PermanentError unless that is a
 * CloudEvent with all attributes that every event of the bridge has. It ignores unknown attributes, because
 * later versions of the bridge may add some.
 */
export function parse(payload: Uint8Array | string): Event {
  let members: unknown
  try {
    members = JSON.parse(typeof payload === 'string' ? payload : new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch {
    throw notAnEvent('not a JSON object')
  }
  if (typeof members !== 'object' || members === null || Array.isArray(members)) throw notAnEvent('not a JSON object')
  const event = members as Record<string, unknown>
  for (const name of required) {
    if (!Object.hasOwn(event, name)) throw notAnEvent(`it has no ${name}`)
    if (name !== 'data' && (event[name] ?? '') === '') throw notAnEvent(`its ${name} is empty`)
  }
  for (const name of attributes) {
    if (typeof (event[name] ?? '') !== 'string') throw notAnEvent(`its ${name} is no text`)
  }
  if (event.specversion !== '1.0') throw notAnEvent(`specversion is ${JSON.stringify(event.specversion)}, not "1.0"`)
  return event as unknown as Event
}
