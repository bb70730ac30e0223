const seconds = 30 // that are looked at
const least = 5 // a shorter time says too little
const readings = new Map() // by consumer: when it was how far behind, oldest first

// behind is how many messages a consumer has yet to handle.
export const behind = (c) => c.num_pending + c.num_ack_pending

// observe remembers how far each consumer is behind, and forgets consumers that are gone.
export function observe(consumers, now = Date.now() / 1000) {
  const keys = new Map(consumers.map((c) => [keyOf(c), c]))
  for (const key of readings.keys()) if (!keys.has(key)) readings.delete(key)
  for (const [key, c] of keys) {
    const all = (readings.get(key) ?? []).filter(({ at }) => now - at <= seconds)
    readings.set(key, [...all, { at: now, messages: behind(c) }])
  }
}

// growth returns by how many messages a second a consumer falls behind, or 0 if it doesn't.
export function growth(c) {
  const all = readings.get(keyOf(c)) ?? []
  const [first, last] = [all.at(0), all.at(-1)]
  if (!first || last.at - first.at < least) return 0
  return Math.max(0, last.messages - first.messages) / (last.at - first.at)
}

const keyOf = ({ name, created }) => `${name} ${created}` // one that was created again is another
