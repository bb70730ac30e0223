const keptSeconds = 30 // of readings
const minSeconds = 5 // of readings, for a rate
const readings = new Map() // by consumer: its backlog over time, oldest first

// behind returns a consumer's backlog: the messages that it has yet to handle.
export const behind = (c) => c.num_pending + c.num_ack_pending

// observe records each consumer's backlog, and forgets consumers that are gone.
export function observe(consumers, now = Date.now() / 1000) {
  const keys = new Map(consumers.map((c) => [keyOf(c), c]))
  for (const key of readings.keys()) if (!keys.has(key)) readings.delete(key)
  for (const [key, c] of keys) {
    const all = (readings.get(key) ?? []).filter(({ at }) => now - at <= keptSeconds)
    readings.set(key, [...all, { at: now, messages: behind(c) }])
  }
}

// growth returns by how many messages per second a consumer's backlog grows, or 0 if it doesn't.
export function growth(c) {
  const all = readings.get(keyOf(c)) ?? []
  const [first, last] = [all.at(0), all.at(-1)]
  if (!first || last.at - first.at < minSeconds) return 0
  return Math.max(0, last.messages - first.messages) / (last.at - first.at)
}

const keyOf = ({ name, created }) => `${name} ${created}` // a consumer that was created again is another one
