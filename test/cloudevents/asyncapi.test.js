import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Parser } from '@asyncapi/parser'
import { path, text } from './repository.js'

const file = 'docs/asyncapi.yaml'
const parse = (yaml) => new Parser().parse(yaml, { source: path(file) })
// A newer version of AsyncAPI is no fault.
const faults = (diagnostics) => diagnostics.filter(({ code }) => code !== 'asyncapi-latest-version').map(({ code, path, message }) => `${code} ${path.join('.')}: ${message}`)

test('docs/asyncapi.yaml is AsyncAPI', async () => {
  const { document, diagnostics } = await parse(text(file))
  assert.deepEqual(faults(diagnostics), [])
  assert.equal(document.version(), '3.0.0')
  const [operation] = document.operations().all()
  assert.equal(operation.action(), 'send')
  const [channel] = operation.channels().all()
  assert.equal(channel.address(), '{prefix}.{endpoint}.{event}')
  const [message] = operation.messages().all()
  assert.deepEqual(message.payload().json().required, JSON.parse(text('docs/event.schema.json')).required)
  assert.notEqual(message.examples().all().length, 0)
})

for (const [from, to] of [
  ['action: send', 'action: tell'],
  ["$ref: '#/channels/events'", "$ref: '#/channels/event'"],
  ['./event.schema.json', './events.schema.json'],
  ['      endpoint:\n        description', '      end:\n        description'],
  ['      Content-Type:\n            description: CloudEvents', '      Content-Type:\n            type: words'],
]) {
  test(`the parser refuses "${to.trim()}"`, async () => {
    const broken = text(file).replace(from, to)
    assert.notEqual(broken, text(file))
    const { diagnostics } = await parse(broken)
    assert.notDeepEqual(faults(diagnostics), [])
  })
}
