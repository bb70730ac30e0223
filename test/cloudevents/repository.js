// What the tests read of the repository.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('../../', import.meta.url)
export const path = (file) => fileURLToPath(new URL(file, root))
export const text = (file) => readFileSync(new URL(file, root), 'utf8')
const json = (file) => JSON.parse(text(file))

// The messages that the bridge published: see internal/ingest/messages_test.go.
export const messages = text('internal/ingest/testdata/messages.ndjson').trimEnd().split('\n').map((line) => JSON.parse(line))

// The bodies that were sent, by the delivery's name.
export const bodies = new Map()
for (const provider of readdirSync(new URL('internal/verify', root))) {
  const vectors = `internal/verify/${provider}/testdata/vectors.json`
  if (!existsSync(new URL(vectors, root))) continue
  for (const { name, claims, body, file } of json(vectors).vectors) {
    if (claims) bodies.set(`${provider}/${name}`, body ?? text(`internal/verify/${provider}/${file}`))
  }
}
for (const { name, body } of json('internal/ingest/testdata/odd.json')) bodies.set(`odd/${name}`, body)
