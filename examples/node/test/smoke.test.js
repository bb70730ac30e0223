// The example, beside a bridge of this tree: signed deliveries come in, and each gives one point.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import Database from 'libsql'

const here = join(import.meta.dirname, '..')

// start starts a program; await waits until it has written what is looked for.
function start(command, args, env) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'inherit', 'pipe'] })
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text) => { words += text })
  return {
    child,
    over: once(child, 'close'),
    async await(pattern) {
      for (const deadline = Date.now() + 120_000; ; await setTimeout(10)) {
        const found = pattern.exec(words)
        if (found) return found[1]
        assert.ok(child.exitCode === null && Date.now() < deadline, `${pattern}: ${words}`)
      }
    },
  }
}

test('each accepted invitation gives one point, whatever is not signed gives none', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'example-'))
  const program = join(directory, 'bridge'), store = join(directory, 'store')
  execFileSync('go', ['build', '-C', join(here, '../..'), '-o', program, './cmd/bridge'], { stdio: 'inherit' })
  const secret = { FLOCK_SECRETS: 'secret-of-flock-for-tests' }
  const bridge = start(program, ['serve'], {
    ...secret, NATS_URL: '', DATA_DIR: join(directory, 'data'), HTTP_ADDR: '127.0.0.1:0', ADMIN_ADDR: '127.0.0.1:0', EMBEDDED_NATS_ADDR: '127.0.0.1:0',
  })
  t.after(async () => {
    bridge.child.kill('SIGKILL')
    await bridge.over
    rmSync(directory, { recursive: true, force: true })
  })
  const url = 'http://' + await bridge.await(/"message":"listening","public":"([^"]+)"/)
  const nats = await bridge.await(/"message":"connected to NATS","server":"(?:nats:\/\/)?([^"]+)"/)
  await bridge.await(/"message":"stream is ready","stream":"(WEBHOOKS)"/)
  const send = (user, ...args) => execFileSync(program, ['send', 'flock', '--url', url, '--data', '-', ...args], {
    input: JSON.stringify({ invitee: { id: user } }), env: { ...process.env, ...secret },
  })
  send('ada')
  send('eve', '--scheme', 'timestamp-data')
  send('bob')
  const example = start(process.execPath, [join(here, 'main.js')], {
    NATS_URL: nats, STORE: store, FILTER: '  webhooks.*.invitee.accepted   webhooks.*.order.paid',
  })
  await example.await(/("handled"[^]*"handled")/)
  await example.await(/"dead letter".*"reason":"(what happened isn't signed, only timestamp-data)"/)
  example.child.kill('SIGTERM')
  assert.deepEqual(await example.over, [0, null])
  const points = new Database(store).prepare('SELECT userid, points FROM points ORDER BY userid').all()
  assert.deepEqual(points.map(({ userid, points }) => [userid, points]), [['ada', 1], ['bob', 1]])
})
