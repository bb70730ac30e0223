import { pathToFileURL } from 'node:url'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { Consumer, consume, subscribe } from './consumer.js'
import { makeDeadLetters } from './deadletter.js'
import { Store } from './store.js'

const env = process.env
const settings = {
  nats: env.NATS_URL || 'nats://127.0.0.1:4222',
  inbox: env.NATS_INBOX_PREFIX || '_INBOX', // what an account may allow this user alone
  stream: env.STREAM || 'WEBHOOKS',
  filter: env.FILTER || 'webhooks.*.invitee.accepted',
  durable: env.DURABLE || 'rewards',
  since: env.SINCE, // RFC 3339; for a durable that doesn't exist yet
  store: env.STORE || 'rewards.db',
  ackWait: Number(env.ACK_WAIT || 30_000), // ms: how long a worker may have a message before another gets it
  tries: Number(env.TRIES || 5),
  pause: Number(env.PAUSE || 1_000), // ms
}

export const log = (msg, fields) => console.error(JSON.stringify({ time: new Date().toISOString(), msg, ...fields }))

// start connects; the end sends what is still to be sent and closes all.
export async function start() {
  const nc = await connect({
    servers: settings.nats.split(','), user: env.NATS_USER, pass: env.NATS_PASSWORD,
    name: `example ${settings.durable}`, inboxPrefix: settings.inbox, maxReconnectAttempts: -1,
  })
  const store = new Store(settings.store)
  const end = async () => {
    await nc.drain() // the last acknowledgements among it
    store.close()
  }
  try {
    const js = jetstream(nc)
    const manager = await jetstreamManager(nc, { checkAPI: false }) // which needs a right of its own
    await makeDeadLetters(manager)
    const from = await subscribe(js, manager, settings)
    log('consuming', { stream: settings.stream, durable: settings.durable, filter: settings.filter })
    return { consumer: new Consumer({ js, store, settings, log }), from, end }
  } catch (error) {
    await end()
    throw error
  }
}

async function main() {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort())
  const { consumer, from, end } = await start()
  try {
    await consume(from, (message) => consumer.handle(message), stop.signal, log)
  } finally {
    await end()
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  main().catch((error) => {
    console.error(`consumer: ${error.message}`)
    process.exitCode = 1
  })
}
