import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFlock, isFrigade, once } from '../dist/index.js'

// lazy is a query as knex and Prisma have it: no instance of Promise, and begun by then alone.
const lazy = (query) => ({ then: (resolve, reject) => new Promise((done) => done(query())).then(resolve, reject) })

test('queries that are no instances of Promise are awaited, in the transaction', async () => {
  const did = []
  const store = {
    async transaction(work) {
      const result = await work('tx')
      did.push('commit')
      return result
    },
    insert: (tx, consumer, id) => lazy(() => did.push(`insert ${consumer} ${id}`) === 1),
  }
  const message = { durable: 'd', event: { id: '1' } }
  assert.equal(await once(store, message, () => lazy(() => did.push('effect'))), true)
  assert.deepEqual(did, ['insert d 1', 'effect', 'commit'])
  assert.equal(await once(store, message, () => assert.fail('it was handled before')), false)
  await assert.rejects(once({ ...store, insert: () => true }, message, () => lazy(() => { throw new Error('no such table') })), /no such table/)
})

test('an event whose data is no object is of no vendor that has one', () => {
  for (const data of [null, 'text', [1]]) {
    assert.equal(isFlock({ provider: 'flock', data }), false)
    assert.equal(isFrigade({ provider: 'frigade', data }), false)
  }
})
