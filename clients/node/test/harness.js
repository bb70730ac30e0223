import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'

export const bound = 120_000 // ms: how long a test waits for anything; long, for slow machines
const root = join(import.meta.dirname, '../../..')

export const directory = mkdtempSync(join(tmpdir(), 'consumer-'))
const program = join(directory, 'nats-server')
execFileSync('go', ['build', '-C', root, '-o', program, 'github.com/nats-io/nats-server/v2'], { stdio: 'inherit' })

const children = new Set()
after(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

export async function eventually(what, condition, within = bound) {
  for (const deadline = Date.now() + within; ; await setTimeout(10)) {
    const found = await condition()
    if (found) return found
    assert.ok(Date.now() < deadline, `not in time: ${what}`)
  }
}

function start(command, args, vars) {
  const child = spawn(command, args, { env: { ...process.env, ...vars }, stdio: ['ignore', 'ignore', 'pipe'] })
  child.words = ''
  child.stderr.setEncoding('utf8').on('data', (text) => { child.words += text })
  child.over = once(child, 'close').then(([status, signal]) => {
    children.delete(child)
    return signal ?? status
  })
  children.add(child)
  return child
}

let given = 0

// freePort returns a port on which nothing listens. No outgoing connection is given it, not even one to
// this very port while its server is stopped, so that the server finds it free again.
async function freePort() {
  for (;;) {
    const port = 10_000 + (process.pid * 100 + ++given) % 20_000
    const socket = createConnection(port, '127.0.0.1')
    const isTaken = await new Promise((resolve) => socket.once('connect', () => resolve(true)).once('error', () => resolve(false)))
    socket.destroy()
    if (!isTaken) return port
  }
}

// nats starts a real nats-server with the streams of a bridge.
export async function nats(t, { dead = {}, conf: more = '' } = {}) {
  const port = await freePort(), url = `127.0.0.1:${port}`
  const conf = join(directory, `${port}.conf`)
  writeFileSync(conf, `listen: "${url}"\njetstream { store_dir: ${JSON.stringify(join(directory, String(port)))} }\n${more}\n`)
  let server
  const begin = async () => {
    server = start(program, ['-c', conf])
    await eventually('nats-server is ready', () => /Server is ready/.test(server.words))
  }
  await begin()
  const nc = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 50 })
  t.after(async () => {
    await nc.close()
    server.kill('SIGKILL')
    await server.over
  })
  const js = jetstream(nc), manager = await jetstreamManager(nc)
  await manager.streams.add({ name: 'WEBHOOKS', subjects: ['webhooks.>'] })
  if (dead) await manager.streams.add({ name: 'WEBHOOKS_DEAD', subjects: ['webhooks-dead.>'], ...dead })
  let published = 0
  return {
    url, nc, js, manager,
    start: begin,
    stop: async () => {
      server.kill('SIGKILL')
      await server.over
    },

    // publish stores so many events, each with its number as the data's n, and returns how many there are.
    async publish(count, data = {}) {
      for (let i = 0; i < count; i++) await js.publish('webhooks.flock.invitee.accepted', JSON.stringify(event(published++, data)))
      return published
    },

    worker: (vars) => start(process.execPath, [join(import.meta.dirname, 'worker.js')], { NATS_URL: url, ...vars }),

    // settled waits until a durable has had, and acknowledged, all that is to come to it.
    settled: (durable = 'd', within = bound) => eventually(`${durable} has had all`, async () => {
      const info = await manager.consumers.info('WEBHOOKS', durable).catch(() => undefined) // not made yet
      return info?.num_pending === 0 && info.num_ack_pending === 0
    }, within),

    async deadLetters() {
      const all = []
      const { state } = await manager.streams.info('WEBHOOKS_DEAD')
      for (let seq = 1; seq <= state.last_seq; seq++) all.push(await manager.streams.getMessage('WEBHOOKS_DEAD', { seq }))
      return all
    },
  }
}

export const event = (n, data = {}) => ({
  specversion: '1.0', id: n.toString(16).padStart(32, '0'), source: '/webhooks/flock', type: 'com.withflock.invitee.accepted',
  datacontenttype: 'application/json', provider: 'flock', event: 'invitee.accepted', receivedtime: '2026-01-02T03:04:05.678Z',
  signed: 'payload', data: { n, ...data },
})

// silent is a logger that keeps what was logged.
export function silent() {
  const words = []
  const keep = (level) => (message, fields) => words.push(`${level} ${message} ${JSON.stringify(fields)}`)
  return { words, info: keep('info'), warn: keep('warn'), error: keep('error') }
}
