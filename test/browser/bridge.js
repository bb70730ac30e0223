// Runs the real binary and Debian's Chromium. Each test has its own bridge and page.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { jetstream } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { chromium } from 'playwright-core'

export const root = fileURLToPath(new URL('../../', import.meta.url))
const dir = mkdtempSync(join(tmpdir(), 'bridge-browser-'))
const binary = join(dir, 'bridge')
execFileSync('go', ['build', '-o', binary, './cmd/bridge'], { cwd: root, stdio: 'inherit' })

const running = new Set()
export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    ...process.getuid?.() === 0 ? ['--no-sandbox'] : [], // root has none
    '--host-resolver-rules=MAP rebound.test 127.0.0.1',
  ],
})

// close ends the browser and all processes.
export async function close() {
  await browser.close()
  await Promise.all([...running].map((p) => p.stop()))
  rmSync(dir, { recursive: true })
}

// file writes JSON to a file.
export function file(value) {
  const name = join(dir, 'data.json')
  writeFileSync(name, JSON.stringify(value))
  return name
}

// until waits until a function returns a true value, for half a minute.
export async function until(what, condition) {
  for (const end = Date.now() + 30_000; ; await new Promise((done) => setTimeout(done, 50))) {
    const value = await condition()
    if (value) return value
    if (Date.now() > end) throw new Error(`after 30 s, still not: ${what}`)
  }
}

// holds waits until an assertion holds, for half a minute: the page draws only in its next frame.
export async function holds(assertion) {
  for (const end = Date.now() + 30_000; ; await new Promise((done) => setTimeout(done, 50))) {
    try {
      return await assertion()
    } catch (error) {
      if (Date.now() > end) throw error
    }
  }
}

// start starts a command of the bridge with only these variables.
export function start(args, env = {}) {
  const process_ = spawn('bridge', args, { env: { PATH: `${dir}:${process.env.PATH}`, HOME: dir, TMPDIR: dir, ...env }, cwd: dir })
  const ended = once(process_, 'close')
  const p = {
    out: '', err: '', ended,
    async stop() {
      process_.kill('SIGINT')
      await ended
      running.delete(p)
    },
    // match waits until the output matches a pattern.
    match: (pattern) => until(`${args[0]} prints ${pattern}`, () => pattern.exec(p.out + p.err)),
  }
  process_.stdout.on('data', (text) => { p.out += text })
  process_.stderr.on('data', (text) => { p.err += text })
  running.add(p)
  ended.then(() => running.delete(p))
  return p
}

// run runs a command to its end.
export async function run(args, env) {
  const p = start(args, env)
  const [status] = await p.ended
  return { status, out: p.out, err: p.err }
}

// cleanup runs a function after the test. The last one runs first.
const cleanups = new WeakMap()
export function cleanup(t, f) {
  if (!cleanups.has(t)) {
    cleanups.set(t, [])
    t.after(async () => { for (const g of cleanups.get(t).reverse()) await g() })
  }
  cleanups.get(t).push(f)
}

// demo starts `bridge demo`, which sends six events. It returns the URLs, and a function that sends.
export async function demo(t) {
  const p = start(['demo'], { HTTP_ADDR: '127.0.0.1:0', ADMIN_ADDR: '127.0.0.1:0', EMBEDDED_NATS_ADDR: '127.0.0.1:0' })
  if (t) cleanup(t, p.stop)
  await p.match(/Ctrl-C ends it/)
  const [, secret, hooks] = /FLOCK_SECRETS=(\S+) .* send flock .*--url (\S+)/.exec(p.out)
  return {
    page: /live page.*?(http:\/\/\S+?)\/\n/.exec(p.out)[1],
    nats: /nats sub -s (\S+)/.exec(p.out)[1],
    send: (...args) => run(['send', 'flock', ...args, '--url', hooks], { FLOCK_SECRETS: secret }),
  }
}

// openDemo starts a demo and opens its page. It returns once the page has the demo's events.
export async function openDemo(t, options) {
  const at = await demo(t)
  const page = await open(t, at.page, options)
  await matching(page, '6')
  return { at, page }
}

// open opens a page. The test fails if the browser then logs an error or a warning.
export async function open(t, url, { mayComplain, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options })
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  const complaints = []
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()) })
  page.on('pageerror', (error) => complaints.push(String(error)))
  if (t) {
    cleanup(t, async () => {
      await context.close()
      if (!mayComplain) assert.deepEqual(complaints, [])
    })
  }
  await page.goto(url)
  return page
}

export const rows = (page) => page.locator('.row')
export const matching = (page, text) => until(`the page counts ${text}`, async () => await page.locator('#matching').textContent() === text)
export const clipboard = (page) => page.evaluate(() => navigator.clipboard.readText())

// payloadOf returns an event as it is stored.
export const payloadOf = (i, more = {}) => JSON.stringify({
  specversion: '1.0', id: `made-${i}`, source: '/webhooks/flock', type: 'com.withflock.invitee.accepted', subject: `invitee/made-${i}`,
  datacontenttype: 'application/json', provider: 'flock', event: 'invitee.accepted', entity: 'invitee', entityid: `made-${i}`, userid: `made-${i}`,
  receivedtime: new Date().toISOString(), signed: 'payload', data: { number: i }, ...more,
})

// publish publishes events to NATS, which is faster than sending them to the bridge.
export async function publish(server, subject, payloads) {
  const nc = await connect({ servers: server })
  const js = jetstream(nc)
  const options = { timeout: 120_000 } // each waits for the disk, one after the other
  for (let i = 0; i < payloads.length; i += 1000) await Promise.all(payloads.slice(i, i + 1000).map((payload) => js.publish(subject, payload, options)))
  await nc.close()
}
