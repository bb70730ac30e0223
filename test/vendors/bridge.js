// A running bridge with an endpoint for each preset, and a receiver that stands where one would.
import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { after, before } from 'node:test'
import { promisify } from 'node:util'
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { HTTP } from 'cloudevents'

const directory = mkdtempSync(join(tmpdir(), 'vendors-'))
const program = join(directory, 'bridge')

// The secrets that both sides share, by endpoint; an endpoint is called like its preset, but for one.
export const secrets = {
  billing: 'whsec_of_stripe_0123456789abcdef',
  github: "It's a Secret to Everybody",
  slack: '8f742231b10e8888abcd99yyyzzz85a5',
  shopify: 'shpss_0123456789abcdef0123456789abcdef',
  'standard-webhooks': 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
}

const file = join(directory, 'secrets')
const environment = { NATS_URL: '', DATA_DIR: join(directory, 'data'), HTTP_ADDR: '127.0.0.1:0', ADMIN_ADDR: '127.0.0.1:0', EMBEDDED_NATS_ADDR: '127.0.0.1:0', PUBLISH_TIMEOUT: '30s' } // on a busy machine nothing is spooled
Object.keys(secrets).forEach((name, i) => {
  environment[`ENDPOINTS_${i}_NAME`] = name
  environment[`ENDPOINTS_${i}_PROVIDER`] = name === 'billing' ? 'stripe' : name
  if (name === 'billing') environment[`ENDPOINTS_${i}_SECRETS_FILE`] = file
  else environment[`ENDPOINTS_${i}_SECRETS`] = secrets[name]
})

let bridge, url, nc, words = ''

before(async () => {
  execFileSync('go', ['build', '-C', join(import.meta.dirname, '../..'), '-o', program, './cmd/bridge'], { stdio: 'inherit' })
  writeFileSync(file, `an-older-one-of-stripe-0123456789\n${secrets.billing}\n`)
  bridge = spawn(program, ['serve'], { env: { ...process.env, ...environment }, stdio: ['ignore', 'inherit', 'pipe'] })
  bridge.stderr.setEncoding('utf8').on('data', (text) => { words += text })
  url = 'http://' + await said(/"message":"listening","public":"([^"]+)"/)
  const servers = await said(/"message":"connected to NATS","server":"(?:nats:\/\/)?([^"]+)"/)
  await said(/"message":"stream is ready","stream":"(WEBHOOKS)"/)
  nc = await connect({ servers })
})

after(async () => {
  await nc?.close()
  bridge?.kill('SIGKILL')
  if (bridge && bridge.exitCode === null) await once(bridge, 'close')
  rmSync(directory, { recursive: true, force: true })
})

async function said(pattern) {
  for (const deadline = Date.now() + 120_000; ; await setTimeout(10)) {
    const found = pattern.exec(words)
    if (found) return found[1]
    assert.ok(Date.now() < deadline && bridge.exitCode === null, words)
  }
}

// deliver posts a body as a vendor does, and returns the answer.
export async function deliver(endpoint, body, headers) {
  const response = await fetch(`${url}/webhooks/${endpoint}`, { method: 'POST', body, headers: { 'Content-Type': 'application/json', ...headers } })
  return { ...await response.json(), status: response.status }
}

// stored returns the event of that id: its message's subject and payload, and what CloudEvents' SDK reads. On
// a machine that stalls it may be spooled first.
export async function stored(id) {
  const manager = await jetstreamManager(nc)
  for (const deadline = Date.now() + 120_000; ; await setTimeout(100)) {
    const { name } = await manager.consumers.add('WEBHOOKS', { ack_policy: AckPolicy.None, mem_storage: true })
    const consumer = await jetstream(nc).consumers.get('WEBHOOKS', name)
    const { num_pending: pending } = await consumer.info()
    for await (const m of pending ? await consumer.fetch({ max_messages: pending, expires: 30_000 }) : []) {
      if (m.headers.get('Nats-Msg-Id') !== id) continue
      const payload = m.string()
      const event = HTTP.toEvent({ headers: { 'Content-Type': m.headers.get('Content-Type') }, body: payload })
      assert.equal(event.validate(), true)
      return { subject: m.subject, payload, event }
    }
    assert.ok(Date.now() < deadline, `no event ${id} among ${pending}`)
  }
}

// accepted delivers what must be accepted and returns its event.
export async function accepted(endpoint, body, headers) {
  const answer = await deliver(endpoint, body, headers)
  assert.equal(answer.status, 200, JSON.stringify(answer))
  assert.equal(answer.id.length, 32)
  return { ...await stored(answer.id), answer }
}

// sent returns what `bridge send` sends for an endpoint: its headers and its body.
export async function sent(endpoint, ...args) {
  let request
  const server = createServer(async (r, response) => {
    const chunks = []
    for await (const chunk of r) chunks.push(chunk)
    request = { headers: r.headers, body: Buffer.concat(chunks).toString() }
    response.end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await promisify(execFile)(program, ['send', endpoint, ...args, '--url', `http://127.0.0.1:${server.address().port}`], { env: { ...process.env, ...environment } })
  } finally {
    server.close()
  }
  return request
}
