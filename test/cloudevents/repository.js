// What the tests read of the repository.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('../../', import.meta.url)
export const path = (file) => fileURLToPath(new URL(file, root))
export const text = (file) => readFileSync(new URL(file, root), 'utf8')
const json = (file) => JSON.parse(text(file))

// The messages that the bridge published: see internal/ingest/messages_test.go.
export const messages = text('internal/ingest/testdata/messages.ndjson').trimEnd().split('\n').map((line) => JSON.parse(line))

// The data that is published of each delivery, by the delivery's name: JSON.stringify's form of the body,
// or the body as it was sent without the white space between tokens, where that is what was signed.
export const data = new Map()
const compact = (body) => body.replace(/("(?:[^"\\]|\\.)*")|\s+/g, '$1')
const add = (name, body, asSent) => data.set(name, asSent ? compact(body) : JSON.stringify(JSON.parse(body)))
for (const provider of readdirSync(new URL('internal/verify', root))) {
  const vectors = `internal/verify/${provider}/testdata/vectors.json`
  if (!existsSync(new URL(vectors, root))) continue
  for (const { name, claims, assent, body, file } of json(vectors).vectors) {
    if (claims) add(`${provider}/${name}`, body ?? text(`internal/verify/${provider}/${file}`), assent)
  }
}
const described = 'internal/verify/hmac/testdata/'
for (const file of readdirSync(new URL(described, root)).filter((file) => file.endsWith('.json'))) {
  const { provider, vectors } = json(described + file)
  for (const { name, claims, body } of vectors) {
    if (claims) add(`${provider}/${name}`, new URLSearchParams(body).get('payload') ?? body, true)
  }
}
for (const { name, body } of json('internal/ingest/testdata/odd.json')) add(`odd/${name}`, body)
