import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudEvent, HTTP, ValidationError } from 'cloudevents'
import { data as published, messages } from './repository.js'

// A message to another endpoint than the provider's own says so at the end of its name.
const sent = (vector) => vector.replace(/, to [a-z0-9-]+$/, '')

test('every delivery became a message', () => {
  assert.deepEqual(new Set(messages.map(({ vector }) => sent(vector))), new Set(published.keys()))
})

for (const { vector, headers, payload } of messages) {
  test(vector, () => {
    const { data, time, ...attributes } = JSON.parse(payload)

    // toEvent alone doesn't validate; the constructor alone doesn't look at the headers.
    const event = HTTP.toEvent({ headers, body: payload })
    assert.equal(event.validate(), true)
    new CloudEvent(JSON.parse(payload), true)

    for (const [name, value] of Object.entries(attributes)) assert.equal(event[name], value, name)
    if (time !== undefined) assert.equal(Date.parse(event.time), Date.parse(time))
    const read = Object.keys(event).filter((name) => event[name] !== undefined)
    assert.deepEqual(new Set([...read, 'time']), new Set([...Object.keys(attributes), 'data', 'time']))
    assert.equal(headers['Nats-Msg-Id'], event.id)

    // What was signed is in it, byte for byte.
    const signed = published.get(sent(vector))
    assert.equal(JSON.stringify(event.data), JSON.stringify(JSON.parse(signed)))
    assert.ok(payload.endsWith(`,"data":${signed}}`), `data is not ${signed}`)
  })
}

test('the SDK refuses what is no event', () => {
  const { source, ...rest } = JSON.parse(messages[0].payload)
  for (const broken of [rest, { ...rest, source: '' }, { ...rest, source, type: 7 }, { ...rest, source, subject: '' }, { ...rest, source, time: 'now' }, { ...rest, source, user_id: 'u' }]) {
    assert.throws(() => new CloudEvent(broken, true), ValidationError, JSON.stringify(broken))
  }
})
