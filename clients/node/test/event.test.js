import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isFlock, isFrigade, parse, PermanentError } from '../dist/index.js'

const whole = '{"specversion":"1.0","id":"1","source":"/webhooks/e","type":"t.n","datacontenttype":"application/json","provider":"p","event":"n","receivedtime":"2026-01-02T03:04:05.678Z","signed":"payload","data":{}}'

// The same as event.Parse refuses in Go: event/event_test.go.
test('what is no event of the bridge is refused', () => {
  assert.equal(parse(whole).id, '1')
  assert.equal(parse(whole.replace('"data"', '"later":"x","data"')).id, '1')
  assert.equal(parse(whole.replace('"data"', '"userid":null,"data"')).id, '1')
  for (const [from, to, want] of [
    [whole, '', 'not a JSON object'],
    [whole, '[]', 'not a JSON object'],
    [whole, 'null', 'not a JSON object'],
    ['"specversion":"1.0"', '"specversion":"0.3"', 'specversion is "0.3"'],
    ['"specversion":"1.0",', '', 'it has no specversion'],
    ['"id":"1"', '"ID":"1"', 'it has no id'],
    ['"id":"1"', '"id":""', 'its id is empty'],
    ['"id":"1"', '"id":null', 'its id is empty'],
    ['"id":"1"', '"id":1', 'its id is no text'],
    ['"id":"1",', '', 'it has no id'],
    ['"source":"/webhooks/e",', '', 'it has no source'],
    ['"id":"1"', '"id":"1","userid":7', 'its userid is no text'],
    ['"provider":"p",', '', 'it has no provider'],
    [',"data":{}', '', 'it has no data'],
  ]) {
    assert.throws(() => parse(whole.replace(from, to)), (error) => error instanceof PermanentError && error.message.includes(want), want)
  }
  assert.throws(() => parse(new Uint8Array([0xff])), PermanentError)
})

test('the golden messages of the bridge are read', () => {
  const lines = readFileSync(new URL('../../../internal/ingest/testdata/messages.ndjson', import.meta.url), 'utf8').trim().split('\n')
  const known = { flock: 0, frigade: 0 }
  for (const line of lines) {
    const payload = JSON.stringify(JSON.parse(line).data ?? JSON.parse(line))
    const event = parse(JSON.parse(line).payload ?? payload)
    if (isFlock(event)) known.flock++
    if (isFrigade(event)) known.frigade++
  }
  assert.ok(lines.length > 100 && known.flock > 10 && known.frigade > 10, JSON.stringify([lines.length, known]))
})
