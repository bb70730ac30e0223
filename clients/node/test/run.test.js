import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { jetstream } from '@nats-io/jetstream'
import { headers as natsHeaders } from '@nats-io/nats-core'
import { connect } from '@nats-io/transport-node'
import { attempt, bury } from '../dist/attempt.js'
import { begin as beginIn, isAway } from '../dist/durable.js'
import { PermanentError, run } from '../dist/index.js'
import { withDefaults } from '../dist/options.js'
import { event, eventually, nats, silent } from './harness.js'

// begin runs a handler until the test ends, or stop is called.
function begin(t, server, handler, options = {}) {
  const stopping = new AbortController(), logger = silent(), seen = []
  const observer = (m, outcome, took, error) => seen.push(`${outcome} ${m.event.data?.n} ${m.attempt}${error ? ` ${error.message}` : ''}`)
  const over = run(server.js, { durable: 'd', backoff: 10, signal: stopping.signal, logger, observer, ...options }, handler)
  over.catch(() => undefined)
  const stop = () => {
    stopping.abort()
    return over
  }
  t.after(() => stop().catch(() => undefined))
  return { stop, over, seen, logger }
}

test('a handler that throws is called again; one that fails for good makes a dead letter', async (t) => {
  const server = await nats(t)
  await server.publish(3)
  const marker = natsHeaders()
  marker.set('Nats-Marker-Reason', 'MaxAge') // by the stream itself if it is empty: it is acknowledged, and nothing else
  for (const data of ['not JSON', '']) await server.js.publish('webhooks.flock.invitee.accepted', data, { headers: marker })
  await server.js.publish('webhooks.flock.invitee.accepted', JSON.stringify({ ...event(9), id: 9 }))
  const { seen, logger } = begin(t, server, ({ event: { data }, attempt }) => {
    if (data.n === 0 && attempt < 3) throw new Error('not yet')
    if (data.n === 1) throw new PermanentError('never: “é”')
    if (data.n === 2) return Promise.reject(new Error('again'))
  }, { maxAttempts: 4 })
  await server.settled()
  assert.deepEqual(seen.filter((line) => !line.startsWith('retried')).sort(), [
    'dead 1 1 never: “é”', 'dead 2 4 again', 'dead undefined 1 reading event: its id is no text', 'dead undefined 1 reading event: not a JSON object',
    'handled 0 3',
  ])
  assert.equal(seen.filter((line) => line.startsWith('retried 0')).length, 2)
  const letters = await server.deadLetters()
  const one = letters.find((m) => m.header.get('Dead-Sequence') === '2')
  assert.equal(one.subject, 'webhooks-dead.d.flock.invitee.accepted')
  assert.equal(one.header.get('Dead-Reason'), 'never: \\u201c\\u00e9\\u201d') // as the Go library writes it
  assert.equal(one.header.get('Dead-Attempts'), '1')
  assert.equal(one.header.get('Dead-Subject'), 'webhooks.flock.invitee.accepted')
  assert.equal(one.json().data.n, 1)
  assert.doesNotMatch(logger.words.join('\n'), /not JSON"|"data"/)
})

test('without room for dead letters the event stays, and goes there once there is room', async (t) => {
  const server = await nats(t, { dead: null })
  await server.publish(1)
  const { seen } = begin(t, server, () => { throw new PermanentError('never') })
  await eventually('it was tried', () => seen.length > 0)
  assert.match(seen[0], /^retried 0 1 no dead letter could be stored.*WEBHOOKS_DEAD.*: never$/)
  await server.manager.streams.add({ name: 'WEBHOOKS_DEAD', subjects: ['webhooks-dead.>'] })
  await server.settled()
  assert.equal((await server.deadLetters()).length, 1)
})

test('the stream of dead letters has the replicas of the consumer', async () => {
  const made = [], unused = () => assert.fail('it exists')
  const config = { durable_name: 'd', ack_policy: 'explicit', ack_wait: 1e9, max_deliver: -1 }
  const js = {
    consumers: { get: async () => ({ info: async () => ({ cluster: { leader: 'a', replicas: [{ name: 'b' }, { name: 'c' }] } }) }) },
    jetstreamManager: async () => ({
      consumers: { info: async () => ({ config }), add: unused, update: unused },
      streams: { add: async (stream) => { made.push(stream) } },
    }),
  }
  await beginIn(js, withDefaults({ durable: 'd', ackWait: 1_000, makeDeadStream: true }))
  assert.equal(made[0].num_replicas, 3)
  assert.ok(isAway(Object.assign(new Error('no suitable peers for placement'), { code: 10005 }))) // until its server is up again
})

test('the event stays while the stream is still storing its dead letter, as NATS 2.10 puts it', async (t) => {
  const server = await nats(t, { dead: null })
  const uncertain = server.nc.subscribe('webhooks-dead.>', {
    callback: (_, m) => m.respond('{"stream":"WEBHOOKS_DEAD", "seq":0,"duplicate": true}'),
  })
  await server.publish(1)
  const { seen } = begin(t, server, () => { throw new PermanentError('never') })
  await eventually('it was tried', () => seen.length > 0)
  assert.match(seen[0], /^retried 0 1 no dead letter could be stored.*still storing it/)
  uncertain.unsubscribe()
  await server.manager.streams.add({ name: 'WEBHOOKS_DEAD', subjects: ['webhooks-dead.>'] })
  await server.settled()
  assert.equal((await server.deadLetters()).length, 1)
})

test('a full stream of dead letters keeps the event, too', async (t) => {
  const server = await nats(t, { dead: { max_msgs: 1, discard: 'new' } })
  await server.publish(2)
  const { seen } = begin(t, server, () => { throw new PermanentError('never') })
  await eventually('one is dead, one is refused', () => seen.some((s) => s.startsWith('dead')) && seen.some((s) => s.startsWith('retried')))
  await server.manager.streams.update('WEBHOOKS_DEAD', { max_msgs: -1 })
  await server.settled()
  assert.equal((await server.deadLetters()).length, 2)
})

for (const [name, settings] of [['max_payload', { conf: 'max_payload: 4096' }], ['max_msg_size', { dead: { max_msg_size: 4096 } }]]) {
  test(`an event of almost ${name} is a dead letter, too; one that doesn't fit stays, and the log names the limit`, async (t) => {
    const server = await nats(t, settings)
    const headers = natsHeaders()
    headers.set('Content-Type', 'application/cloudevents+json; charset=utf-8')
    const size = 4096 - headers.encode().length - 'Nats-Msg-Id: \r\nNats-Expected-Stream: WEBHOOKS\r\n'.length - 32
    const payload = JSON.stringify(event(0)).padEnd(size) // the message is then as large as the limit
    await server.js.publish('webhooks.flock.x', payload, { headers, msgID: '0'.repeat(32), expect: { streamName: 'WEBHOOKS' } })
    await server.js.publish('webhooks.flock.x', ' '.repeat(4096))
    const { seen } = begin(t, server, () => { throw new PermanentError('no '.repeat(1000)) })
    await eventually('both were tried', () => seen.length >= 2)
    assert.match(seen[0], /^dead 0 1 no/)
    assert.match(seen[1], /^retried undefined 1 no dead letter.*raise max_payload of the server, or max_msg_size of the stream WEBHOOKS_DEAD/)
    const [letter, ...more] = await server.deadLetters()
    assert.deepEqual([letter.string(), more.length], [payload, 0])
    assert.match(letter.header.get('Nats-Msg-Id'), /^d:WEBHOOKS:1:/)
  })
}

test('a handler that takes longer than the ack wait has its event alone', async (t) => {
  const server = await nats(t)
  await server.publish(1)
  let calls = 0
  const handler = async () => {
    calls++
    await setTimeout(6_000)
  }
  const workers = [begin(t, server, handler, { ackWait: 3_000 }), begin(t, server, handler, { ackWait: 3_000 })]
  await eventually('it is handled', () => workers.some(({ seen }) => seen.length > 0))
  await server.settled()
  assert.equal(calls, 1)
})

test('after its time-out a handler has its signal aborted, and fails or not as it ends', async (t) => {
  const server = await nats(t)
  await server.publish(2)
  const { seen, logger } = begin(t, server, async ({ event: { data }, attempt }, { signal }) => {
    if (attempt > 1) return
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    if (data.n === 0) throw new Error('given up')
  }, { timeout: 300 })
  await server.settled()
  await eventually('both are handled', () => seen.length === 3)
  assert.deepEqual(seen.sort(), ['handled 0 2', 'handled 1 1', 'retried 0 1 the handler took longer than 300 ms: given up'])
  assert.equal(logger.words.filter((line) => line.startsWith('error the handler takes longer')).length, 2)
})

test('a handler that never ends has no company, and another worker gets its event', async (t) => {
  const server = await nats(t)
  await server.publish(2)
  let begun = 0
  const stuck = begin(t, server, () => {
    begun++
    return new Promise(() => undefined)
  }, { timeout: 100, ackWait: 3_000, shutdownTimeout: 100 })
  await eventually('it has begun', () => begun > 0)
  const other = begin(t, server, () => undefined, { ackWait: 3_000 })
  await server.settled()
  assert.equal(other.seen.filter((line) => line.startsWith('handled')).length, 2)
  assert.deepEqual([begun, stuck.seen], [1, []])
})

for (const late of [new Error('no'), new PermanentError('no')]) {
  test(`${late.name}: it changes nothing when another worker has the event`, async (t) => {
    const server = await nats(t)
    await server.publish(1)
    let fail, done, calls = 0
    const stuck = begin(t, server, () => new Promise((_, reject) => { fail = reject }), { timeout: 100, ackWait: 3_000 })
    await eventually('it has begun', () => fail)
    const other = begin(t, server, () => {
      calls++
      return new Promise((resolve) => { done = resolve })
    }, { ackWait: 3_000, concurrency: 2 })
    await eventually('the other has begun', () => done)
    fail(late)
    await eventually('it has failed', () => stuck.seen.length === 1)
    await stuck.stop()
    await setTimeout(500)
    done()
    await server.settled()
    assert.deepEqual(stuck.seen, ['retried 0 1 the handler ended too late to count: no'])
    assert.deepEqual([calls, (await server.deadLetters()).length], [1, 0])
  })
}

test('a consumer of all dead letters makes one of an event, not one of that, and so on', async (t) => {
  const server = await nats(t)
  await server.js.publish('webhooks-dead.other.flock.x', 'no event')
  const { seen, stop } = begin(t, server, () => undefined, { stream: 'WEBHOOKS_DEAD' })
  await eventually('both were read', () => seen.length === 2)
  await setTimeout(200)
  await stop()
  const [, own, ...more] = await server.deadLetters()
  assert.deepEqual([own.subject, more.length], ['webhooks-dead.d.webhooks-dead.other.flock.x', 0])
})

test('an observer that fails ends nothing', async (t) => {
  const server = await nats(t)
  await server.publish(2)
  const { logger, stop } = begin(t, server, () => undefined, { observer: ({ sequence }) => {
    if (sequence === 1) throw new Error('no such metric')
    return Promise.reject(new Error('no such metric'))
  } })
  await server.settled()
  await stop()
  assert.equal(logger.words.filter((line) => line.startsWith('error the observer failed')).length, 2)
})

test('NATS is killed and comes back: it goes on, and says each failure once', async (t) => {
  const server = await nats(t)
  await server.publish(1)
  const { seen, stop, logger } = begin(t, server, () => undefined, { concurrency: 8 })
  await eventually('the first', () => seen.length === 1)
  await server.stop()
  await eventually('a pull failed', () => logger.words.some((line) => line.includes('pulling failed')))
  await server.start()
  await eventually('it works', () => logger.words.some((line) => line.includes('pulling works again')))
  const failures = logger.words.slice(0, logger.words.findIndex((line) => line.includes('works again'))).filter((line) => line.startsWith('warn'))
  assert.equal(new Set(failures).size, failures.length, failures.join())
  await eventually('NATS takes events again', () => server.publish(1).then(() => true, () => false))
  await eventually('the next', () => seen.some((line) => line.startsWith('handled') && !line.startsWith('handled 0 ')))
  await stop()
})

test('where handlers hold up the process, NATS has answered all the same', async (t) => {
  const server = await nats(t)
  const { logger, over, stop } = begin(t, server, () => {
    for (const began = performance.now(); performance.now() - began < 5_000;); // longer than the other's pull
  }, { concurrency: 2 })
  await eventually('it consumes', () => logger.words.length > 0)
  await server.publish(1)
  await server.settled()
  await stop()
  await over
  assert.deepEqual(logger.words.filter((line) => line.startsWith('warn')), [])
})

test('asked to stop while NATS is away, it stops, and its connection can be closed', async (t) => {
  const server = await nats(t)
  const { stop, logger } = begin(t, server, () => undefined, { shutdownTimeout: 100 })
  await eventually('it consumes', () => logger.words.some((line) => line.includes('consuming')))
  await server.stop()
  await eventually('a pull failed', () => logger.words.some((line) => line.includes('pulling failed')))
  await stop()
  await server.nc.close()
})

test('where NATS is away when it begins it waits and says so, unless it is asked to stop', async (t) => {
  const server = await nats(t, { dead: null })
  await server.publish(1)
  await server.stop()
  await begin(t, server, () => undefined).stop()
  const { seen, logger, stop } = begin(t, server, () => undefined, { makeDeadStream: true })
  await eventually('the log says so', () => logger.words.some((line) => line.startsWith("warn can't begin yet, trying again")))
  await server.start()
  await eventually('it is handled', () => seen.length === 1)
  await stop()
})

test('where a permission is missing it says so at once', async (t) => {
  const server = await nats(t, { conf: `no_auth_user: tester, authorization { users = [
    { user: tester, password: tester }, { user: mute, password: mute, permissions { publish = "x" } }] }` })
  const nc = await connect({ servers: server.url, user: 'mute', pass: 'mute' })
  t.after(() => nc.close())
  await assert.rejects(begin(t, { js: jetstream(nc) }, () => undefined).over,
    /finding or making consumer d of stream WEBHOOKS: .*Permissions Violation for Publish to "\$JS\.API\.CONSUMER\.INFO\.WEBHOOKS\.d" \(see docs/)
})

test('where it may not store dead letters it says so', async (t) => {
  const server = await nats(t, { conf: `no_auth_user: tester, authorization { users = [
    { user: tester, password: tester }, { user: d, password: d, permissions { publish = { deny = "webhooks-dead.>" } } }] }` })
  const nc = await connect({ servers: server.url, user: 'd', pass: 'd' })
  t.after(() => nc.close())
  await server.publish(1)
  const { seen } = begin(t, { js: jetstream(nc) }, () => { throw new PermanentError('never') })
  await eventually('it was tried', () => seen.length > 0)
  assert.match(seen[0], /so the event stays \(permit its user to publish on webhooks-dead\.d\.>\): .*Permissions Violation.*: never$/)
})

for (const [right, filters] of [
  ['CONSUMER.CREATE.WEBHOOKS.d.webhooks.flock.>', ['webhooks.flock.>']],
  ['CONSUMER.DURABLE.CREATE.WEBHOOKS.d', ['webhooks.flock.>', 'webhooks.frigade.>']],
  ['CONSUMER.CREATE.WEBHOOKS.d', []],
]) {
  test(`the rights in docs/consumers.md suffice with ${filters.length} filters`, async (t) => {
    const server = await nats(t, { dead: null, conf: `no_auth_user: tester, authorization { users = [
      { user: tester, password: tester }, { user: d, password: d, permissions { subscribe = "_INBOX.>", publish = [
        "$JS.API.${right}", "$JS.API.STREAM.CREATE.WEBHOOKS_DEAD", "$JS.API.CONSUMER.INFO.WEBHOOKS.d",
        "$JS.API.CONSUMER.MSG.NEXT.WEBHOOKS.d", "$JS.ACK.WEBHOOKS.d.>", "webhooks-dead.d.>"
      ] } }] }` })
    const nc = await connect({ servers: server.url, user: 'd', pass: 'd' })
    t.after(() => nc.close())
    await server.publish(2)
    const { seen } = begin(t, { js: jetstream(nc) }, () => { throw new PermanentError('no') }, { filters, makeDeadStream: true })
    await eventually('both are dead letters', () => seen.length === 2)
    assert.equal((await server.deadLetters()).length, 2)
  })
}

test('where its connection is closed it says so', async (t) => {
  const server = await nats(t)
  const { over, logger } = begin(t, server, () => undefined)
  await eventually('it consumes', () => logger.words.some((line) => line.includes('consuming')))
  await server.nc.close()
  await assert.rejects(over, /the connection to NATS is closed/)
})

test('where its stream or its consumer is deleted it says so', async (t) => {
  await Promise.all([(m) => m.consumers.delete('WEBHOOKS', 'd'), (m) => m.streams.delete('WEBHOOKS')].map(async (remove) => {
    const server = await nats(t), { over, logger } = begin(t, server, () => undefined)
    await eventually('it consumes', () => logger.words.some((line) => line.includes('consuming')))
    await remove(server.manager)
    await assert.rejects(over, /consumer d of stream WEBHOOKS was deleted/)
  }))
})

test("a consumer that isn't found for a moment, as while a cluster starts, was not deleted", async (t) => {
  const server = await nats(t)
  await server.publish(1)
  const { seen, logger } = begin(t, server, () => undefined)
  await eventually('it is handled', () => seen.length === 1)
  const { config } = await server.manager.consumers.info('WEBHOOKS', 'd')
  await server.manager.consumers.delete('WEBHOOKS', 'd')
  await eventually("it isn't found", () => logger.words.some((line) => line.includes('asking again')))
  await server.manager.consumers.add('WEBHOOKS', config)
  await eventually('it goes on', () => seen.length === 2)
})

test('a worker that begins before its stream waits for it and says so', async (t) => {
  const server = await nats(t)
  await server.manager.streams.delete('WEBHOOKS')
  const { seen, logger } = begin(t, server, () => undefined)
  await eventually('the log says so', () => logger.words.some((line) => /^warn can't begin yet, trying again .*stream not found/.test(line)))
  await server.manager.streams.add({ name: 'WEBHOOKS', subjects: ['webhooks.>'] })
  await server.publish(1)
  await eventually('handled', () => seen.length === 1)
})

test('a handler whose worker could not reach NATS for the ack wait ends too late to count', async (t) => {
  const server = await nats(t)
  await server.publish(1)
  let fail
  const { seen } = begin(t, server, ({ attempt }) => attempt > 1 ? undefined : new Promise((_, reject) => { fail = reject }), { ackWait: 1_000, concurrency: 2 })
  await eventually('it has begun', () => fail)
  await server.stop()
  await setTimeout(1_500)
  await server.start()
  await eventually('another attempt was made', () => seen.includes('handled 0 2'))
  fail(new PermanentError('no'))
  await eventually('it has failed', () => seen.length === 2)
  assert.equal(seen[1], 'retried 0 1 the handler ended too late to count: no')
  assert.equal((await server.deadLetters()).length, 0)
})

test('asked to stop, it finishes what has begun, and leaves the rest to others', async (t) => {
  const server = await nats(t)
  await server.publish(20)
  const first = begin(t, server, () => setTimeout(50), { ackWait: 3_600_000, concurrency: 3 })
  await eventually('some are handled', () => first.seen.length > 3)
  await first.stop()
  const handled = first.seen.length
  assert.ok(handled < 20)
  const second = begin(t, server, () => undefined, { ackWait: 3_600_000 })
  await server.settled()
  assert.equal(second.seen.length, 20 - handled)
})

test('what a pull brings after the stop is handled: given back, it would have lost its only attempt', async (t) => {
  const server = await nats(t)
  const pulls = async () => (await server.manager.consumers.info('WEBHOOKS', 'd').catch(() => undefined))?.num_waiting === 1
  const first = begin(t, server, () => undefined, { maxAttempts: 1, shutdownTimeout: 100 })
  await eventually('it pulls', pulls)
  const stopped = first.stop()
  await server.publish(1)
  await stopped
  const second = begin(t, server, () => undefined, { maxAttempts: 1 })
  await server.settled()
  await eventually('it is handled', () => first.seen.length + second.seen.length === 1)
  assert.deepEqual([...first.seen, ...second.seen], ['handled 0 1'])
})

test('a pause with a fraction of a millisecond is a pause', async (t) => {
  const server = await nats(t)
  await server.publish(1)
  const began = performance.now()
  const { seen } = begin(t, server, ({ attempt }) => {
    if (attempt === 1) throw new Error('again')
  }, { backoff: 1_000.123456789 })
  await eventually('it is handled', () => seen.length === 2)
  assert.ok(performance.now() - began >= 1_000)
})

test('a stop waits for a handler that ignores its signal no longer than shutdownTimeout, and says so', async (t) => {
  const server = await nats(t)
  await server.publish(1)
  let began = false
  const { stop, seen } = begin(t, server, () => {
    began = true
    return new Promise(() => undefined)
  }, { shutdownTimeout: 100 })
  await eventually('it has begun', () => began)
  await assert.rejects(stop(), /a handler is still running after 100 ms; its event comes again/)
  assert.deepEqual(seen, [])
})

test('a consumer that exists is used where it fits, mended where that is safe, and else refused', async (t) => {
  const server = await nats(t)
  await server.manager.consumers.add('WEBHOOKS', { durable_name: 'd', ack_policy: 'explicit', max_deliver: 3, filter_subject: 'webhooks.flock.>' })
  await assert.rejects(begin(t, server, () => undefined).over, /exists and has the filters \["webhooks\.flock\.>"\] and the ack policy explicit, but run needs one that has the filters \[\] and .*: give another durable/)
  await server.publish(1)
  const { seen } = begin(t, server, () => undefined, { filters: ['webhooks.flock.>'] })
  await eventually('handled', () => seen.length === 1)
  assert.equal((await server.manager.consumers.info('WEBHOOKS', 'd')).config.max_deliver, -1)
  await server.manager.consumers.add('WEBHOOKS', { durable_name: 'p', ack_policy: 'explicit', deliver_subject: 'x', max_deliver: 3 })
  await assert.rejects(begin(t, server, () => undefined, { durable: 'p' }).over, /exists and is a push consumer, but run needs/)
  assert.equal((await server.manager.consumers.info('WEBHOOKS', 'p')).config.max_deliver, 3)
  await assert.rejects(begin(t, server, () => undefined, { durable: 'a.b' }).over, /options\.durable is "a\.b"/)
  for (const filter of ['', 'webhooks..user.created']) {
    await assert.rejects(begin(t, server, () => undefined, { filters: ['webhooks.a.>', filter] }).over, /options\.filters has .*a token of it is empty/)
  }
  await assert.rejects(begin(t, server, undefined).over, /run has no handler/)
  await assert.rejects(begin(t, server, () => undefined, { ackWait: -1 }).over, /options\.ackWait is -1/)
  await assert.rejects(begin(t, server, () => undefined, { timeout: Infinity }).over, /options\.timeout is Infinity/)
  await assert.rejects(begin(t, server, () => undefined, { since: new Date('yesterday') }).over, /options\.since is no valid date/)
})

test('an option that is undefined has its default', async (t) => {
  const server = await nats(t)
  await server.publish(1)
  const { seen } = begin(t, server, () => undefined, { concurrency: undefined, filters: undefined, maxAttempts: undefined })
  await eventually('handled', () => seen.length === 1)
})

test('an event that kills its workers is a dead letter after maxAttempts', async (t) => {
  const server = await nats(t)
  await server.publish(1)
  const consumer = await server.manager.consumers.add('WEBHOOKS', { durable_name: 'd', ack_policy: 'explicit', ack_wait: 30e9, max_deliver: -1 })
    .then(() => server.js.consumers.get('WEBHOOKS', 'd'))
  for (let died = 0; died < 2; died++) (await consumer.next()).nak() // as if the worker had died
  let calls = 0
  const { seen } = begin(t, server, () => { calls++ }, { maxAttempts: 2 })
  await eventually('dead', () => seen.length === 1)
  assert.deepEqual([calls, seen], [0, ['dead 0 3 delivered 2 times, and never handled to the end: see the workers\' logs']])
  assert.equal((await server.deadLetters()).length, 1)
})

test('a dead letter whose event is not let go of is stored once; in a stream made anew it is another', async (t) => {
  const server = await nats(t)
  for (let streams = 1; streams <= 2; streams++) {
    await server.publish(1)
    const consumer = await server.manager.consumers.add('WEBHOOKS', { durable_name: 'd', ack_policy: 'explicit', ack_wait: 1e9, max_deliver: -1 })
      .then(() => server.js.consumers.get('WEBHOOKS', 'd'))
    const raw = await consumer.next() // a worker that dies between the dead letter and letting go
    const m = { subject: raw.subject, stream: 'WEBHOOKS', durable: 'd', sequence: raw.seq, stored: new Date(raw.timestamp), attempt: 1 }
    await bury({ js: server.js, subjectPrefix: 'webhooks', deadStream: 'WEBHOOKS_DEAD' }, raw, m, new Error('never'))
    const { seen, stop } = begin(t, server, () => { throw new PermanentError('never') }, { ackWait: 1_000 })
    await eventually('dead', () => seen.length === 1)
    await stop()
    assert.match(seen[0], /^dead /)
    assert.equal((await server.deadLetters()).length, streams)
    await server.manager.streams.delete('WEBHOOKS')
    await server.manager.streams.add({ name: 'WEBHOOKS', subjects: ['webhooks.>'] })
  }
})

test('many handlers at once are no cause for a warning', async (t) => {
  const server = await nats(t), warnings = []
  const warned = (warning) => warnings.push(warning.message)
  process.on('warning', warned)
  t.after(() => process.off('warning', warned))
  await server.publish(60)
  let now = 0, most = 0
  const { seen } = begin(t, server, async () => {
    most = Math.max(most, ++now)
    await eventually('thirty run at once', () => most === 30)
    now--
  }, { concurrency: 30 })
  await eventually('all are handled', () => seen.length === 60)
  assert.deepEqual(warnings, [])
})

test('an event that a pull brings after the last stop is not held back from others', async () => {
  let working = 0
  const raw = {
    data: new TextEncoder().encode(JSON.stringify(event(1))), subject: 'webhooks.a.b', seq: 1, timestamp: '2026-01-02T03:04:05Z',
    info: { deliveryCount: 1, stream: 'WEBHOOKS', pending: 0 }, ack() {}, working() { working++ },
  }
  const handler = () => setTimeout(300)
  const worker = { durable: 'd', handler, logger: silent(), backoff: 1, maxAttempts: 9, timeout: 60_000, ackWait: 30 }
  await attempt(worker, raw, AbortSignal.abort(new Error('the worker is stopping')))
  assert.equal(working, 0)
})

test('nothing is kept of an event that was handled', async () => {
  const gc = (setFlagsFromString('--expose-gc'), runInNewContext('gc'))
  const raw = {
    data: new TextEncoder().encode(JSON.stringify(event(1))), subject: 'webhooks.a.b', seq: 1, timestamp: '2026-01-02T03:04:05Z',
    info: { deliveryCount: 1, stream: 'WEBHOOKS', pending: 0 }, ack() {}, working() {},
  }
    const stopping = new AbortController(), kept = []
  const handler = (m, { signal }) => { kept.push(new WeakRef(signal)) }
  const worker = { durable: 'd', handler, backoff: 1, maxAttempts: 9, timeout: 60_000, ackWait: 30_000 }
  for (let i = 0; i < 500; i++) {
    await attempt(worker, raw, stopping.signal)
  }
  await eventually('all is freed', () => {
    gc()
    return kept.filter((ref) => ref.deref()).length < 10
  })
})
