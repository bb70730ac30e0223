// A worker in a process of its own, which kills itself at a point of every few events, or loses what it
// tells the server.
import { jetstream } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { once, run } from '../dist/index.js'
import { open } from './store.js'

const { NATS_URL, STORE, KILL, EVERY = '10', LOSE = '0' } = process.env
const nc = await connect({ servers: NATS_URL, maxReconnectAttempts: -1, reconnectTimeWait: 50 })
const store = open(STORE)
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())

const { protocol } = nc // by which the client answers messages
const publish = protocol.publish.bind(protocol)
protocol.publish = (subject, ...rest) => {
  const isAck = subject.startsWith('$JS.ACK.')
  if (isAck && Math.random() < Number(LOSE)) return // lost
  publish(subject, ...rest)
  if (isAck) at('acknowledged')
}

let handled = 0
function at(point) {
  if (point === KILL && handled % Number(EVERY) === Number(EVERY) - 1) process.kill(process.pid, 'SIGKILL')
}

const logger = { info() {}, warn: console.error, error: console.error }
await run(jetstream(nc), { durable: 'd', logger, ackWait: 1_000, backoff: 10, maxAttempts: 1_000, signal: stop.signal }, async (message) => {
  at('received')
  await once(store, message, () => {
    at('remembered')
    store.effect(message.event.data.n)
    at('done')
  })
  at('committed')
  handled++
})
await nc.close()
store.close()
