// Makes src/event.generated.ts from the events' JSON Schema; with --check it fails if that has changed.
import { readFileSync, writeFileSync } from 'node:fs'

const url = (path) => new URL(path, import.meta.url)
const schema = JSON.parse(readFileSync(url('../../../docs/event.schema.json'), 'utf8'))

const typeOf = ({ const: one, enum: several, type }) => {
  if (one !== undefined) return JSON.stringify(one)
  if (several) return several.map((value) => JSON.stringify(value)).join(' | ')
  return type === 'object' ? 'Record<string, unknown>' : 'string'
}

const lines = [
  '// Made from docs/event.schema.json: npm run generate.',
  '',
  '/** An event of the bridge: a CloudEvent 1.0, with the whole body of the vendor as data. */',
  'export interface Event {',
]
for (const [name, member] of Object.entries(schema.properties)) {
  // Later versions may add vendors and schemes.
  const type = name === 'provider' || name === 'signed' ? `${typeOf(member)} | (string & {})` : typeOf(member)
  lines.push(`  /** ${member.description} */ ${name}${schema.required.includes(name) ? '' : '?'}: ${type}`)
}
lines.push('}', '')
for (const [name, value, description] of [
  ['attributes', Object.keys(schema.properties).filter((name) => name !== 'data'), 'What an event has beside its data. All are texts.'],
  ['required', schema.required, 'What every event has.'],
]) lines.push(`/** ${description} */`, `export const ${name}: readonly string[] = ${JSON.stringify(value)}`, '')

const file = url('../src/event.generated.ts')
const text = lines.join('\n')
if (!process.argv.includes('--check')) writeFileSync(file, text)
else if (readFileSync(file, 'utf8') !== text) {
  console.error('src/event.generated.ts is out of date: npm run generate')
  process.exitCode = 1
}
