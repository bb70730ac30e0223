import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { bound, directory, nats } from './harness.js'
import { open } from './store.js'

const numbers = (n) => Array.from({ length: n }, (_, i) => i)
let stores = 0

// through has workers, each started again when it was killed, until all events are settled, and expects
// that each had its effect once.
async function through(t, server, count, workers, vars) {
  const file = join(directory, `store-${stores++}`)
  open(file).close()
  let over = false, kills = 0
  const settled = server.settled('d', 5 * bound).then(() => { // over a dozen lives, each of a process
    over = true
    return 'settled'
  })
  const lives = Array.from({ length: workers }, async () => {
    while (!over) {
      const worker = server.worker({ STORE: file, ...vars })
      const ended = await Promise.race([worker.over, settled])
      if (ended === 'settled') {
        worker.kill('SIGTERM')
        const status = await worker.over
        assert.ok([0, 'SIGKILL', 'SIGTERM'].includes(status), worker.words) // SIGTERM: it had hardly begun
        continue
      }
      assert.equal(ended, 'SIGKILL', worker.words)
      kills++
    }
  })
  await Promise.all(lives)
  const store = open(file)
  assert.deepEqual(store.effects(), numbers(count))
  store.close()
  t.diagnostic(`${count} events, ${count} effects, ${kills} kills`)
  return kills
}

for (const point of ['received', 'remembered', 'done', 'committed', 'acknowledged']) {
  test(`killed when an event is ${point}: every effect happens once`, async (t) => {
    const server = await nats(t)
    const count = await server.publish(100)
    const kills = await through(t, server, count, 1, { KILL: point })
    assert.ok(kills >= 5, `${kills} kills`)
  })
}

test('two workers, killed by turns: every effect happens once', async (t) => {
  const server = await nats(t)
  const count = await server.publish(200)
  await through(t, server, count, 2, { KILL: 'committed', EVERY: '15' })
})

test('half of the acknowledgements are lost: every effect happens once', async (t) => {
  const server = await nats(t)
  const count = await server.publish(40)
  await through(t, server, count, 2, { LOSE: '0.5' })
})
