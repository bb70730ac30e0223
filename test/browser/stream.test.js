import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createConnection } from 'node:net'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, headers } from '@nats-io/transport-node'
import { cleanup, clipboard, close, demo, holds, matching, open, payloadOf, publish, root, rows, run, start, until, openDemo } from './bridge.js'

after(close)

test('a search of the stream finds events that the page does not hold', async (t) => {
  const { at, page } = await openDemo(t)
  await publish(at.nats, 'webhooks.flock.invitee.accepted', Array.from({ length: 5700 }, (_, i) => payloadOf(i)))
  await matching(page, '5,000')
  const bar = page.locator('#older-text')
  const says = (text) => holds(async () => assert.equal(await bar.textContent(), text))
  await page.locator('#search').fill('user:made-77 subject:accepted number":77}')
  await matching(page, '0 of 5,000')
  await says('Only the last 5,000 of 5,706 events were searched.')
  await page.getByText('No match among the events on this page').waitFor()
  await page.getByRole('button', { name: 'Search the stream' }).click()
  await says('The whole stream is searched. 1 older event found.')
  await rows(page).filter({ hasText: 'made-77' }).click()
  await page.locator('.facts').getByText('made-77', { exact: true }).first().waitFor()
  assert.equal(await rows(page).count(), 1)

  // The first 500, and then the rest, by keyboard.
  await page.locator('#search').fill('provider:flock')
  await page.locator('#search').press('Enter')
  await page.keyboard.press('s')
  await holds(async () => assert.match(await bar.textContent(), /^Searched [\d,]+ more events, back to .* ago\. 500 older events found\.$/))
  await page.getByRole('button', { name: 'Search further' }).click()
  await says('The whole stream is searched. 703 older events found.')
  await holds(async () => assert.equal(await page.evaluate(() => document.activeElement.id), 'list'))

  // A search that fails and is tried again finds each event once.
  let asked = 0
  await page.route('**/api/search?*', (route) => {
    const url = new URL(route.request().url())
    url.searchParams.set('size', '300')
    return ++asked === 2 ? route.fulfill({ json: { problem: 'NATS is away.' } }) : route.continue({ url: String(url) })
  })
  await page.locator('#search').fill('signed:payload')
  await page.getByRole('button', { name: 'Search the stream' }).click()
  await says('NATS is away.')
  await page.getByRole('button', { name: 'Try again' }).click()
  await holds(async () => assert.match(await bar.textContent(), / 600 older events found\.$/))
  await page.getByRole('button', { name: 'Search further' }).click()
  await says('The whole stream is searched. 703 older events found.')
  await page.unrouteAll()

  // A changed filter ends the search.
  await page.locator('#search').fill('nobody')
  await says('Only the last 5,000 of 5,706 events were searched.')
  await page.getByRole('button', { name: 'Search the stream' }).click()
  await says('The whole stream is searched. 0 older events found.')
  await page.getByText('No event matches').waitFor()
  await page.locator('#search').fill('nobody else')
  await page.route('**/api/search?*', () => {}) // never answered
  await page.getByRole('button', { name: 'Search the stream' }).press('Enter')
  await says('Searching the stream: 0 read. 0 older events found.')
  const focus = (id) => holds(async () => assert.equal(await page.evaluate(() => document.activeElement.id), id))
  await focus('older-stop')
  await page.keyboard.press('Enter')
  await focus('older-go')
  await says('Only the last 5,000 of 5,706 events were searched.')
  await page.unrouteAll()
  await page.route('**/api/search?*', (route) => route.fulfill({ json: { problem: 'Our account has no right to it.' } }))
  await page.getByRole('button', { name: 'Search the stream' }).click()
  await says('Our account has no right to it.')
  await page.getByRole('button', { name: 'Try again' }).waitFor()
})

test('consumers that fall behind, and dead letters', async (t) => {
  const at = await demo(t)
  const nc = await connect({ servers: at.nats })
  cleanup(t, () => nc.close())
  const js = jetstream(nc)
  const manager = await jetstreamManager(nc)
  await manager.streams.add({ name: 'WEBHOOKS_DEAD', subjects: ['webhooks-dead.>'] })
  const h = headers()
  h.set('Dead-Subject', 'webhooks.flock.invitee.accepted')
  h.set('Dead-Reason', 'no such account')
  await js.publish('webhooks-dead.billing', '{}', { headers: h })
  await manager.consumers.add('WEBHOOKS', { durable_name: 'slow', ack_policy: 'explicit' })
  await manager.consumers.add('WEBHOOKS', { durable_name: 'idle', ack_policy: 'explicit', filter_subject: 'webhooks.none' })
  const consumer = await js.consumers.get('WEBHOOKS', 'slow')
  for await (const _ of await consumer.fetch({ max_messages: 1, expires: 5000 })) break // and doesn't acknowledge it
  const page = await open(t, at.page)
  await page.locator('#tab-stream').click()
  await page.getByText(/^1 in WEBHOOKS_DEAD, put aside by consumers\. The last one: .* ago, webhooks\.flock\.invitee\.accepted: no such account$/).waitFor()
  await page.getByRole('button', { name: 'Copy command: nats stream get WEBHOOKS_DEAD 1' }).click()
  await until('it is copied', async () => await clipboard(page) === 'nats stream get WEBHOOKS_DEAD 1')
  await js.publish('webhooks-dead.billing', '{}') // headers that make it too large are left out
  await page.getByText(/^2 in WEBHOOKS_DEAD, .* ago, webhooks-dead\.billing: no reason is given$/).waitFor()
  await page.locator('tr').filter({ hasText: 'idle' }).filter({ hasText: 'keeps up' }).waitFor()
  let n = 0
  await until('the consumer falls behind', async () => {
    await js.publish('webhooks.flock.invitee.accepted', payloadOf(n++))
    return page.locator('tbody tr').first().filter({ hasText: /slow.*falling behind, .* a second/ }).isVisible()
  })
  await page.getByText('2 consumers, 1 in trouble. Falling further behind: slow.').waitFor()

  // The panel is drawn again each second. The focus stays where it is.
  const focus = page.getByRole('button', { name: 'Copy messages' })
  await focus.focus()
  const before = await page.locator('dd[data-value]').first().getAttribute('data-value')
  await js.publish('webhooks.flock.invitee.accepted', payloadOf(n++))
  await until('it is drawn again', async () => await page.locator('dd[data-value]').first().getAttribute('data-value') !== before)
  assert.ok(await focus.evaluate((button) => button === document.activeElement))
})

test('the snippets work', async (t) => {
  const { at, page } = await openDemo(t)
  await rows(page).filter({ hasText: 'invitee.accepted' }).first().click()
  await page.getByRole('tab', { name: 'Consume it' }).click()
  const code = page.locator('.snippets pre')
  await code.filter({ hasText: `nats sub -s ${at.nats} webhooks.flock.invitee.accepted` }).waitFor()
  await page.getByRole('combobox', { name: 'Subject of the snippet' }).selectOption('webhooks.>')
  await code.filter({ hasText: "'webhooks.>'" }).waitFor()
  await page.getByRole('combobox', { name: 'Subject of the snippet' }).selectOption('webhooks.flock.>')
  await publish(at.nats, 'webhooks.flock.invitee.accepted', ['not JSON', payloadOf('last')])
  const dir = mkdtempSync(fileURLToPath(new URL('./snippet-', import.meta.url)))
  cleanup(t, () => rmSync(dir, { recursive: true }))
  for (const [name, file, program] of [['JavaScript', 'consume.mjs', 'node'], ['Go', 'consume.go', 'go']]) {
    await page.getByRole('button', { name, exact: true }).click()
    await code.filter({ hasText: name === 'Go' ? 'package main' : 'import' }).waitFor()
    assert.match(await code.textContent(), /max_?ack_?pending: -1/i) // as the documentation says
    writeFileSync(join(dir, file), (await code.textContent()).replaceAll('my-service', name))
    await consumes(program, program === 'go' ? ['run', join(dir, file)] : [join(dir, file)])
  }
  // Now the stream has consumers, which the page shows.
  await page.getByRole('tab', { name: 'Stream and consumers' }).click()
  for (const name of ['JavaScript', 'Go']) await page.locator('tr').filter({ has: page.getByRole('rowheader', { name, exact: true }) }).waitFor()
})

// consumes runs a program until it has printed an event. It has a process group of its own: go run has a
// child.
async function consumes(program, args) {
  const child = spawn(program, args, { cwd: root, detached: true })
  let printed = ''
  for (const output of [child.stdout, child.stderr]) output.on('data', (text) => { printed += text })
  try {
    // The last event: it has passed over what isn't one.
    await until(`${program} prints an event`, () => {
      assert.equal(child.exitCode, null, printed)
      return printed.includes('made-last')
    })
  } finally {
    if (child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
  }
}

test('quarantine', async (t) => {
  const { at, page } = await openDemo(t)
  assert.equal((await at.send('--stale')).status, 1)
  await page.getByRole('tab', { name: /^Quarantine/ }).click()
  const row = page.locator('tr').filter({ hasText: 'stale' })
  await row.locator('time[title]').filter({ hasText: / ago$/ }).waitFor()
  await row.getByRole('button', { name: /^Show/ }).click()
  const [, id] = /([0-9a-f]{32})/.exec(await row.first().textContent())
  await page.locator('#panel-quarantine .key').filter({ hasText: 'timestamp' }).waitFor()
  await page.getByText(/^It uses [\d.]+ K?i?B of 64 MiB\.$/).waitFor()
  const nc = await connect({ servers: at.nats })
  cleanup(t, () => nc.close())
  const { streams } = await jetstreamManager(nc)
  await streams.update('WEBHOOKS_QUARANTINE', { max_bytes: (await streams.info('WEBHOOKS_QUARANTINE')).state.bytes })
  await page.getByText(/ That is 100%: a new delivery that doesn’t fit pushes out the oldest\./).waitFor()
  await page.getByRole('button', { name: `Copy command: bridge quarantine drop ${id}` }).click()
  await until('the command is copied', async () => await clipboard(page) === `bridge quarantine drop ${id}`)
  assert.equal((await run(['quarantine', 'drop', id], { NATS_URL: at.nats })).status, 0)
  await page.getByText('The quarantine is empty.').waitFor()
})

// started starts a command that ends with the test.
function started(t, ...args) {
  const p = start(...args)
  cleanup(t, p.stop)
  return p
}

let given = 0

// freeAddress returns an address on which nothing listens, and whose port no outgoing connection is given:
// a program that is stopped for a while finds it free again.
async function freeAddress() {
  for (;;) {
    const port = 10_000 + (process.pid * 100 + ++given) % 20_000
    const socket = createConnection(port, '127.0.0.1')
    const isTaken = await new Promise((resolve) => socket.once('connect', () => resolve(true)).once('error', () => resolve(false)))
    socket.destroy()
    if (!isTaken) return `127.0.0.1:${port}`
  }
}

test('the page shows problems, and recovers by itself', async (t) => {
  const live = (page) => until('it is live', async () => await page.locator('#link-text').textContent() === 'Live')
  const trouble = (page, text) => page.locator('#trouble').filter({ hasText: text }).waitFor()
  const nats = await freeAddress()
  const inspecting = started(t,['inspect', '--addr', await freeAddress()], { NATS_URL: `nats://${nats}`, STREAM_NAME: 'OTHER' })
  const [, url] = await inspecting.match(/(http:\/\/\S+?)\/\n/)
  const page = await open(t, url, { mayComplain: true })
  await trouble(page, 'NATS is away')
  await page.locator('#empty').getByText('Waiting for NATS.').waitFor()
  await page.setViewportSize({ width: 390, height: 844 })
  const [search, select] = await page.locator('#search, #event').evaluateAll((fields) => fields.map((field) => field.getBoundingClientRect().right))
  assert.equal(select, search) // a telephone's second line is as long as the first
  const serve = () => started(t, ['serve'], { HTTP_ADDR: '127.0.0.1:0', ADMIN_ADDR: '127.0.0.1:0', EMBEDDED_NATS_ADDR: nats, FLOCK_SECRETS: 'hush' })
  let bridge = serve()
  await trouble(page, 'Stream OTHER does not exist.')
  await page.locator('#empty').getByText('Waiting for the stream.').waitFor()
  const nc = await connect({ servers: nats })
  const manager = await jetstreamManager(nc)
  const { streams } = manager
  await until('the bridge has made its stream', () => streams.info('WEBHOOKS').then(() => true, () => false))
  await streams.update('WEBHOOKS', { subjects: ['webhooks.flock.>'] })
  await streams.add({ name: 'OTHER', subjects: ['webhooks.other.>'] })
  await live(page)
  await page.getByText('No events yet').waitFor()
  await publish(nats, 'webhooks.other.a', [payloadOf(1)])
  await matching(page, '1')
  await streams.delete('OTHER')
  await trouble(page, 'Stream OTHER does not exist.')
  await streams.add({ name: 'OTHER', subjects: ['webhooks.other.>'] })
  await publish(nats, 'webhooks.other.a', [payloadOf(2)])
  await matching(page, '1') // of the new stream
  await page.locator('.row').filter({ hasText: 'made-2' }).waitFor()
  await live(page)
  await page.locator('#tab-stream').click()
  const lastDelivery = (text) => page.locator('tr').filter({ hasText: 'worker' }).getByRole('cell').nth(4).filter({ hasText: text }).waitFor()
  await manager.consumers.add('OTHER', { durable_name: 'worker', ack_policy: 'explicit' })
  await lastDelivery('never')
  const worker = await jetstream(nc).consumers.get('OTHER', 'worker')
  for await (const m of await worker.fetch({ max_messages: 1, expires: 5000 })) await m.ackAck()
  await lastDelivery(/ ago$/)
  await nc.close()

  await bridge.stop()
  await trouble(page, 'NATS is away')
  bridge = serve()
  await live(page)
  await lastDelivery('–') // the server has forgotten it
  await page.locator('#tab-events').click()

  await inspecting.stop()
  await trouble(page, 'bridge inspect doesn’t answer')
  const again = started(t, ['inspect', '--addr', new URL(url).host], { NATS_URL: `nats://${nats}`, STREAM_NAME: 'OTHER' })
  await again.match(/http:/)
  await live(page)
  await matching(page, '1')
})
