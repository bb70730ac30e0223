import { attributes, type Event, required } from './event.generated.js'

export type { Event }

/** A payload is no event of the bridge. The error's text has nothing of the payload. */
export class NotAnEventError extends Error {
  constructor(reason: string) {
    super(`reading event: ${reason}`)
    this.name = 'NotAnEventError'
  }
}

/**
 * Reads the payload of a message that the bridge published. It throws NotAnEventError unless that is a
 * CloudEvent with all attributes that every event of the bridge has. It ignores unknown attributes, because
 * later versions of the bridge may add some. Numbers in `data` are doubles; {@link dataText} has all digits.
 */
export function parse(payload: Uint8Array | string): Event {
  let members: unknown
  try {
    members = JSON.parse(textOf(payload))
  } catch {
    throw new NotAnEventError('not a JSON object')
  }
  if (typeof members !== 'object' || members === null || Array.isArray(members)) throw new NotAnEventError('not a JSON object')
  const event = members as Record<string, unknown>
  for (const name of required) {
    if (!Object.hasOwn(event, name)) throw new NotAnEventError(`it has no ${name}`)
    if (name !== 'data' && (event[name] ?? '') === '') throw new NotAnEventError(`its ${name} is empty`)
  }
  for (const name of attributes) {
    if (typeof (event[name] ?? '') !== 'string') throw new NotAnEventError(`its ${name} is no text`)
  }
  if (event.specversion !== '1.0') throw new NotAnEventError(`specversion is ${JSON.stringify(event.specversion)}, not "1.0"`)
  return event as unknown as Event
}

/**
 * Returns `data` as the text that is in the payload, with all digits of its numbers. It is undefined if the
 * payload isn't the bridge's.
 */
export function dataText(payload: Uint8Array | string): string | undefined {
  const text = textOf(payload)
  // The bridge writes data last, after attributes that are texts. In a text the quotes would be escaped.
  const found = /[{,]\s*"data"\s*:\s*/.exec(text)
  const data = found ? text.slice(found.index + found[0].length).trimEnd().slice(0, -1).trimEnd() : ''
  try {
    JSON.parse(data)
    return data
  } catch {
    return undefined
  }
}

function textOf(payload: Uint8Array | string): string {
  return typeof payload === 'string' ? payload : new TextDecoder('utf-8', { fatal: true }).decode(payload)
}
