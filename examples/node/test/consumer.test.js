import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Store } from '../store.js'
import { directory, eventually, serve } from './harness.js'

const accepted = (id) => ({ invitee: { id } })

let stores = 0
const newStore = () => join(directory, `store-${stores++}`)

// points returns what each has, by the store.
function points(file) {
  const store = new Store(file)
  const all = Object.fromEntries(store.db.prepare('SELECT userid, points FROM points').all().map(({ userid, points }) => [userid, points]))
  store.close()
  return all
}

test('killed between the effect and the acknowledgement, the event comes again and does nothing more', async (t) => {
  const bridge = await serve(t)
  const store = newStore()
  bridge.send(accepted('ada'))
  assert.equal(await bridge.killed('before the ack', store).ended(), 'SIGKILL')
  assert.deepEqual(points(store), { ada: 1 })

  const next = bridge.consumer(store)
  await next.await(/"msg":"handled".*"try":([2-9])/)
  await bridge.settled('rewards')
  assert.deepEqual(points(store), { ada: 1 })
  await next.terminate()
})

test("what can't be handled becomes a dead letter, and others go on", async (t) => {
  const bridge = await serve(t)
  const store = newStore()
  bridge.send(accepted('ada'))
  bridge.send({ campaignId: "nobody's" })
  bridge.send(accepted('eve'), '--scheme', 'timestamp-data')
  await bridge.js.publish('webhooks.flock.invitee.accepted', 'not from the bridge')
  bridge.send(accepted('bob'))

  const consumer = bridge.consumer(store, { TRIES: '3' })
  await bridge.settled('rewards')
  assert.deepEqual(points(store), { ada: 1, bob: 1 })
  assert.deepEqual((await bridge.deadLetters()).sort(), [
    "webhooks-dead.rewards: can't be handled: not a CloudEvent",
    "webhooks-dead.rewards: can't be handled: what happened isn't signed, only timestamp-data",
    "webhooks-dead.rewards: it doesn't say whom it is about",
  ])
  assert.equal(consumer.words.match(/"to be tried again"/g).length, 2)
  await consumer.terminate()
})

test("what stands beside the body's members under names in other cases is none of them", async (t) => {
  const bridge = await serve(t)
  const store = newStore()
  const body = join(directory, 'names-in-other-cases.json')
  writeFileSync(body, JSON.stringify({
    name: 'invitee.accepted', entity: 'invitee', entityId: 'ada', data: accepted('ada'), timestamp: 0,
    DATA: accepted('eve'), Data: { INVITEE: { id: 'eve' } },
  }))
  bridge.send(undefined, '--body', body)
  const consumer = bridge.consumer(store)
  await bridge.settled('rewards')
  assert.deepEqual(points(store), { ada: 1 })
  await consumer.terminate()
})

test('an event that kills its worker each time becomes a dead letter, and is handled once that is mended', async (t) => {
  const bridge = await serve(t)
  const store = newStore()
  bridge.send(accepted('killer'))
  for (let i = 0; i < 2; i++) assert.equal(await bridge.killed('by the event', store, { TRIES: '2' }).ended(), 'SIGKILL')
  bridge.send(accepted('ada'))
  const consumer = bridge.killed('by the event', store, { TRIES: '2' })
  await bridge.settled('rewards')
  assert.deepEqual(points(store), { ada: 1 })
  assert.deepEqual(await bridge.deadLetters(), ['webhooks-dead.rewards: tried 2 times'])
  consumer.child.kill('SIGKILL')

  const mended = bridge.consumer(store, { STREAM: 'WEBHOOKS_DEAD', FILTER: 'webhooks-dead.rewards', DURABLE: 'rewards-mended' })
  await bridge.settled('rewards-mended', 'WEBHOOKS_DEAD')
  assert.deepEqual(points(store), { ada: 1, killer: 1 })
  await mended.terminate()
})

test('another durable reads again what was stored since a time, and no more', async (t) => {
  const bridge = await serve(t)
  const [all, again] = [newStore(), newStore()]
  bridge.send(accepted('ada'))
  await eventually('the next millisecond', ((now) => () => Date.now() > now)(Date.now()))
  const since = new Date().toISOString()
  bridge.send(accepted('bob'))
  bridge.send(accepted('cleo'))
  const consumer = bridge.consumer(all)
  await bridge.settled('rewards')
  assert.deepEqual(points(all), { ada: 1, bob: 1, cleo: 1 })
  await consumer.terminate()

  const replay = bridge.consumer(again, { DURABLE: 'rewards-again', SINCE: since })
  await bridge.settled('rewards-again')
  assert.deepEqual(points(again), { bob: 1, cleo: 1 })
  await replay.terminate()
})

test('workers of one durable share the events; another durable gets all of them', async (t) => {
  const bridge = await serve(t)
  const [shared, other] = [newStore(), newStore()]
  const workers = [bridge.consumer(shared), bridge.consumer(shared)]
  const audit = bridge.consumer(other, { DURABLE: 'audit' })
  await eventually('both ask for events', async () => await bridge.waiting('rewards') === 2)
  bridge.send(undefined, '--count', '60', '--concurrency', '4')
  await bridge.settled('rewards')
  await bridge.settled('audit')
  for (const worker of workers) {
    const handled = worker.words.match(/"handled"/g)?.length ?? 0
    assert.ok(handled > 0 && handled < 60, `handled ${handled} of 60`)
    await worker.terminate()
  }
  await audit.terminate()
  for (const store of [shared, other]) assert.deepEqual(Object.values(points(store)), Array(60).fill(1))
})

// The ack wait is longer than the test.
test('asked to end amid its work, it leaves nothing that others must wait for', async (t) => {
  const bridge = await serve(t)
  const store = newStore()
  bridge.send(undefined, '--count', '100', '--concurrency', '4')
  const one = bridge.consumer(store, { ACK_WAIT: '3600000' })
  await one.await(/"msg":"(handled)"/)
  await one.terminate()
  assert.ok(one.words.match(/"handled"/g).length < 100, 'it had handled all before it was asked to end: the test tells nothing')
  const two = bridge.consumer(store, { ACK_WAIT: '3600000' })
  await bridge.settled('rewards')
  await two.terminate()
  assert.deepEqual(Object.values(points(store)), Array(100).fill(1))
})

test('NATS is killed and comes back; the consumer goes on where it was', async (t) => {
  const bridge = await serve(t)
  const store = newStore()
  const consumer = bridge.consumer(store)
  bridge.send(accepted('ada'))
  await consumer.await(/"msg":"(handled)"/)
  await bridge.restart()
  bridge.send(accepted('bob'))
  await eventually('bob has a point', () => points(store).bob === 1)
  await consumer.terminate()
  assert.deepEqual(points(store), { ada: 1, bob: 1 })
})

test('a consumer whose durable is deleted says so and ends', async (t) => {
  const bridge = await serve(t)
  const consumer = bridge.consumer(newStore())
  await consumer.await(/"msg":"(consuming)"/)
  await bridge.settled('rewards')
  await bridge.manager.consumers.delete('WEBHOOKS', 'rewards')
  assert.equal(await consumer.ended(), 1)
  assert.match(consumer.words, /^consumer: /m)
})
