// Consumes the bridge's events and gives each user who accepted an invitation one point. To adapt it,
// replace the function reward.
import { readFileSync } from 'node:fs'
import { jetstream } from '@nats-io/jetstream'
import { connect, credsAuthenticator, nkeyAuthenticator } from '@nats-io/transport-node'
import { once, run } from '@webhook-bridge/consumer'
import { reward } from './reward.js'
import { openStore } from './store.js'

const env = process.env
const log = (level) => (msg, fields) => console.error(JSON.stringify({ time: new Date().toISOString(), level, msg, ...fields }))

// nats connects with the variables of the nats command.
function nats() {
  const file = (name) => (env[name] ? readFileSync(env[name]) : undefined)
  const authenticator = env.NATS_CREDS ? credsAuthenticator(file('NATS_CREDS'))
    : env.NATS_NKEY ? nkeyAuthenticator(file('NATS_NKEY')) : undefined
  const tls = env.NATS_CA || env.NATS_CERT ? { tls: { caFile: env.NATS_CA, certFile: env.NATS_CERT, keyFile: env.NATS_KEY } } : {}
  return connect({
    servers: (env.NATS_URL || 'nats://127.0.0.1:4222').split(','), user: env.NATS_USER, pass: env.NATS_PASSWORD, authenticator,
    name: 'example', inboxPrefix: env.NATS_INBOX_PREFIX || '_INBOX', maxReconnectAttempts: -1, waitOnFirstConnect: true, ...tls,
  })
}

async function main() {
  const store = openStore(env.STORE || 'rewards.db')
  log('info')('connecting to NATS, and waiting if it is away', {})
  const stop = new AbortController()
  let nc
  // A container's first process ignores signals that it doesn't handle.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => nc ? stop.abort() : process.exit())
  nc = await nats()
  try {
    await run(jetstream(nc), {
      durable: env.DURABLE || 'rewards',
      stream: env.STREAM || 'WEBHOOKS',
      filters: (env.FILTER || 'webhooks.*.invitee.accepted').split(/\s+/).filter(Boolean),
      since: env.SINCE ? new Date(env.SINCE) : undefined,
      ackWait: Number(env.ACK_WAIT || 30_000), // ms
      maxAttempts: Number(env.TRIES || 5),
      backoff: Number(env.PAUSE || 1_000), // ms
      makeDeadStream: env.MAKE_DEAD_STREAM !== 'false',
      logger: { info: log('info'), warn: log('warn'), error: log('error') },
      signal: stop.signal,
    }, async (message) => {
      // One name for all durables: a replay does only what wasn't done.
      const first = await once(store, message, (db) => reward(db, message.event), 'rewards')
      log('info')('handled', { id: message.event.id, first, attempt: message.attempt })
    })
  } finally {
    await nc.close()
    store.close()
  }
}

main().catch((error) => {
  console.error(`consumer: ${error.message}`)
  process.exitCode = 1
})
