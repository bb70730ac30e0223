import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudEvent, HTTP, ValidationError } from 'cloudevents'
import { bodies, messages } from './repository.js'

// A message to another endpoint than the provider's own says so at the end of its name.
const sent = (vector) => vector.replace(/, to [a-z0-9-]+$/, '')

test('every delivery became a message', () => {
  assert.deepEqual(new Set(messages.map(({ vector }) => sent(vector))), new Set(bodies.keys()))
})

for (const { vector, headers, payload } of messages) {
  test(vector, () => {
    const { data, time, ...attributes } = JSON.parse(payload)

    // toEvent alone doesn't validate; the constructor alone doesn't look at the headers.
    const event = HTTP.toEvent({ headers, body: payload })
    assert.equal(event.validate(), true)
    new CloudEvent(JSON.parse(payload), true)

    for (const [name, value] of Object.entries(attributes)) assert.equal(event[name], value, name)
    assert.equal(Date.parse(event.time), Date.parse(time))
    const read = Object.keys(event).filter((name) => event[name] !== undefined)
    assert.deepEqual(read.sort(), [...Object.keys(attributes), 'data', 'time'].sort())
    assert.equal(headers['Nats-Msg-Id'], event.id)

    // What the vendor's own code would sign is in it, byte for byte.
    const signed = JSON.stringify(JSON.parse(bodies.get(sent(vector))))
    assert.equal(JSON.stringify(event.data), signed)
    assert.ok(payload.endsWith(`,"data":${signed}}`), 'data is not S of the body')
  })
}

test('the SDK refuses what is no event', () => {
  const { source, ...rest } = JSON.parse(messages[0].payload)
  for (const broken of [rest, { ...rest, source: '' }, { ...rest, source, type: 7 }, { ...rest, source, subject: '' }, { ...rest, source, time: 'now' }, { ...rest, source, user_id: 'u' }]) {
    assert.throws(() => new CloudEvent(broken, true), ValidationError, JSON.stringify(broken))
  }
})
