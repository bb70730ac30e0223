import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { after } from 'node:test'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'

const bound = 120_000 // ms: how long a test waits for anything; long, for slow machines
const here = join(import.meta.dirname, '..')

export const directory = mkdtempSync(join(tmpdir(), 'consumer-'))
const program = join(directory, 'bridge')
execFileSync('go', ['build', '-C', join(here, '../..'), '-o', program, './cmd/bridge'], { stdio: 'inherit' })

const children = new Set()
after(async () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

export async function eventually(what, condition) {
  for (const deadline = Date.now() + bound; ; await setTimeout(10)) {
    const found = await condition()
    if (found) return found
    assert.ok(Date.now() < deadline, `not in time: ${what}`)
  }
}

// Process is a program in the background, and what it wrote to standard error.
class Process {
  words = ''

  constructor(command, args, vars) {
    this.child = spawn(command, args, { env: { ...process.env, ...vars }, stdio: ['ignore', 'inherit', 'pipe'] })
    this.child.stderr.setEncoding('utf8').on('data', (text) => { this.words += text })
    this.over = once(this.child, 'close')
    children.add(this.child)
  }

  async await(pattern) {
    const found = await eventually(String(pattern), () => pattern.exec(this.words) || (this.child.exitCode !== null && 'over'))
    assert.notEqual(found, 'over', this.words)
    return found[1]
  }

  // ended returns the exit status, or the signal that killed it.
  async ended() {
    const [status, signal] = await this.over
    children.delete(this.child)
    return signal ?? status
  }

  async terminate() {
    this.child.kill('SIGTERM')
    assert.equal(await this.ended(), 0, this.words)
  }
}

// serve starts `bridge serve` with its embedded nats-server.
export async function serve(t) {
  const data = mkdtempSync(join(directory, 'data-'))
  let bridge, url, servers = '127.0.0.1:0'
  const begin = async () => {
    bridge = new Process(program, ['serve'], {
      FLOCK_SECRETS: 'secret-of-flock-for-tests', NATS_URL: '', DATA_DIR: data,
      HTTP_ADDR: '127.0.0.1:0', ADMIN_ADDR: '127.0.0.1:0', EMBEDDED_NATS_ADDR: servers,
    })
    url = 'http://' + await bridge.await(/"message":"listening","public":"([^"]+)"/)
    servers = await bridge.await(/"message":"connected to NATS","server":"(?:nats:\/\/)?([^"]+)"/)
    await bridge.await(/"message":"stream is ready","stream":"(WEBHOOKS)"/)
  }
  const kill = async () => {
    bridge.child.kill('SIGKILL')
    await bridge.ended()
  }
  await begin()
  const nc = await connect({ servers })
  t.after(async () => {
    await nc.close()
    await kill()
  })
  const manager = await jetstreamManager(nc)
  const run = (script, store, vars) => new Process(process.execPath, [join(here, script)], {
    NATS_URL: servers, STORE: store, PAUSE: '10', ACK_WAIT: '2000', ...vars,
  })
  return {
    js: jetstream(nc),
    manager,
    restart: async () => { // kills the bridge, and NATS with it, and starts both again where they were
      await kill()
      await begin()
    },
    consumer: (store, vars) => run('main.js', store, vars),
    killed: (when, store, vars) => run('test/killed.js', store, { KILLED: when, ...vars }),

    // send sends signed deliveries, with those data if there are any, and expects them to be stored.
    send(data, ...args) {
      const command = ['send', 'flock', '--url', url, ...args, ...(data ? ['--data', '-'] : [])]
      const out = execFileSync(program, command, { input: data ? JSON.stringify(data) : '', env: { ...process.env, FLOCK_SECRETS: 'secret-of-flock-for-tests' }, encoding: 'utf8' })
      assert.match(out, /stored/)
      assert.doesNotMatch(out, /duplicate/)
    },

    waiting: async (durable) => (await manager.consumers.info('WEBHOOKS', durable).catch(() => undefined))?.num_waiting,

    // settled waits until a durable has had, and acknowledged, all that is to come to it.
    settled: (durable, stream = 'WEBHOOKS') => eventually(`${durable} has had all`, async () => {
      const info = await manager.consumers.info(stream, durable).catch(() => undefined) // not made yet
      return info?.num_pending === 0 && info.num_ack_pending === 0
    }),

    async deadLetters() {
      const reasons = []
      const { state } = await manager.streams.info('WEBHOOKS_DEAD')
      for (let seq = 1; seq <= state.last_seq; seq++) {
        const message = await manager.streams.getMessage('WEBHOOKS_DEAD', { seq })
        reasons.push(`${message.subject}: ${message.header.get('Dead-Reason')}`)
      }
      return reasons
    },
  }
}
