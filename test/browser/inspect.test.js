import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { connect as dial } from 'node:net'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { jetstreamManager, jetstream } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { close, demo, file, holds, open, root, run, start, until } from './bridge.js'

const axe = readFileSync(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
let at // the demo

before(async () => { at = await demo() })
after(close)

const rows = (page) => page.locator('.row')
const matching = (page, text) => until(`the page counts ${text}`, async () => await page.locator('#matching').textContent() === text)
const clipboard = (page) => page.evaluate(() => navigator.clipboard.readText())
const payloadOf = (i, more = {}) => JSON.stringify({
  specversion: '1.0', id: `made-${i}`, source: '/webhooks/flock', type: 'com.withflock.invitee.accepted', subject: `invitee/made-${i}`,
  datacontenttype: 'application/json', provider: 'flock', event: 'invitee.accepted', entity: 'invitee', entityid: `made-${i}`, userid: `made-${i}`,
  receivedtime: new Date().toISOString(), signed: 'payload', data: { number: i }, ...more,
})

// publish stores so many events by way of NATS, faster than they could be sent.
async function publish(server, subject, payloads) {
  const nc = await connect({ servers: server })
  const js = jetstream(nc)
  await Promise.all(payloads.map((payload) => js.publish(subject, payload)))
  await nc.close()
}

// raw makes an HTTP request as no client would, and returns the status and the headers.
function raw(url, headers, path = '/') {
  const { hostname, port } = new URL(url)
  return new Promise((done, failed) => {
    const socket = dial(Number(port), hostname, () => socket.write(`GET ${path} HTTP/1.1\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}Connection: close\r\n\r\n`))
    let text = ''
    socket.setEncoding('utf8').on('data', (more) => { text += more; if (text.includes('\r\n\r\n')) socket.destroy() })
    socket.on('close', () => done({ status: Number(text.split(' ')[1]), head: text.split('\r\n\r\n')[0] }))
    socket.on('error', failed)
  })
}

test('what is stored is there, and what comes appears', async () => {
  const page = await open(at.page)
  await matching(page, '6')
  await holds(async () => assert.equal(await page.locator('#link-text').textContent(), 'Live'))
  await at.send('--data', file({ invitee: { id: 'customer_live' } }))
  await rows(page).filter({ hasText: 'customer_live' }).waitFor()
  await holds(async () => assert.match(await rows(page).first().textContent(), /invitee\.accepted.*customer_live/))
  await holds(async () => assert.equal(await rows(page).first().locator('.name').getAttribute('data-provider'), 'flock'))
  await until('the stream is counted', async () => await page.locator('#fact-stream').textContent() === '7')
  await holds(async () => assert.match(await page.locator('#chart').getAttribute('aria-label'), /7 in all/))
  assert.deepEqual(page.complaints, [])
  await page.context().close()
})

test('search and filters', async () => {
  const page = await open(at.page)
  await matching(page, '7')
  await page.keyboard.press('/')
  await page.keyboard.type('CUSTOMER_live')
  await matching(page, '1 of 7')
  await holds(async () => assert.equal(await rows(page).count(), 1))
  for (const [text, n] of [['user:customer_live', 1], ['user:customer_live provider:frigade', 0], ['provider:frigade', 3], ['event:flowresponse', 3], ['signed:data', 3], ['subject:webhooks.flock', 4], ['campaign_12345', 1], ['x:y', 0]]) {
    await page.locator('#search').fill(text)
    await matching(page, `${n} of 7`)
  }
  await page.getByText('No event matches').waitFor()
  await page.getByRole('button', { name: 'Show all' }).click()
  await matching(page, '7')
  await page.locator('#provider').selectOption('frigade')
  await matching(page, '3 of 7')
  await page.locator('#event').selectOption('flowResponse.completedFlow')
  await matching(page, '1 of 7')
  await page.getByRole('button', { name: 'Clear' }).click()
  await matching(page, '7')
  assert.deepEqual(page.complaints, [])
  await page.context().close()
})

test('by keyboard alone', async () => {
  const page = await open(at.page)
  await matching(page, '7')
  const row = page.locator('.row[aria-selected="true"]')
  const chosen = (pattern) => holds(async () => assert.match(await row.locator('.about').textContent({ timeout: 1000 }), pattern))
  await page.keyboard.press('j')
  await chosen(/customer_live/)
  await page.keyboard.press('ArrowDown')
  await chosen(/^(?!.*customer_live)/)
  await page.keyboard.press('End')
  await page.keyboard.press('Home')
  await chosen(/customer_live/)
  await holds(async () => assert.equal(await page.locator('#list').getAttribute('aria-activedescendant'), await row.getAttribute('id')))
  await page.keyboard.press('Enter')
  await holds(async () => assert.equal(await page.evaluate(() => document.activeElement.id), 'detail'))
  await page.keyboard.press('Tab')
  await holds(async () => assert.equal(await page.evaluate(() => document.activeElement.title), 'Copy the event'))
  await page.keyboard.press('Escape')
  await holds(async () => assert.equal(await page.evaluate(() => document.activeElement.id), 'list'))
  await page.keyboard.press('c')
  await until('it is copied', async () => (await clipboard(page)).includes('customer_live'))
  await page.keyboard.press('2')
  await page.getByRole('heading', { name: 'Stream WEBHOOKS' }).waitFor()
  await page.keyboard.press('ArrowRight')
  await page.getByText('The quarantine is empty.').waitFor()
  await page.keyboard.press('1')
  await page.keyboard.press('?')
  await page.getByRole('dialog').waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'hidden' })
  await page.keyboard.press('p')
  await at.send('referrer.visited')
  await page.getByRole('button', { name: 'Go on · 1 new' }).waitFor()
  assert.equal(await page.locator('#matching').textContent(), '7')
  await page.keyboard.press('p')
  await matching(page, '8')
  await chosen(/customer_live/)
  assert.deepEqual(page.complaints, [])
  await page.context().close()
})

test('one event whole: tree, copying, raw, large, hostile', async () => {
  const page = await open(at.page)
  await matching(page, '8')
  await rows(page).filter({ hasText: 'customer_live' }).click()
  const detail = page.locator('#detail')
  await detail.getByRole('heading', { name: 'invitee.accepted' }).waitFor()
  const [stored] = (await run(['tail', '--follow=false', '--json', '--user', 'customer_live'], { NATS_URL: at.nats })).out.split('\n')
  await detail.getByRole('button', { name: 'Copy the event' }).click()
  await until('the event is copied', async () => await clipboard(page) === stored)
  await detail.getByRole('button', { name: 'Copy type', exact: true }).click()
  await until('the type is copied', async () => await clipboard(page) === 'com.withflock.invitee.accepted')
  const branch = detail.locator('summary').filter({ hasText: 'invitee { 1 }' })
  await detail.getByRole('button', { name: 'Copy invitee', exact: true }).click()
  await until('the branch is copied', async () => await clipboard(page) === JSON.stringify({ id: 'customer_live' }, null, 2))
  await branch.click({ position: { x: 1, y: 5 } })
  await holds(async () => assert.equal(await branch.locator('..').getAttribute('open'), null))
  await detail.getByRole('tab', { name: 'Raw' }).click()
  await detail.getByRole('button', { name: 'As it is stored', exact: true }).click()
  await until('it is shown as it is stored', async () => await detail.locator('pre').textContent() === stored)

  // What an event says is text, whoever wrote it.
  const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
  await publish(at.nats, 'webhooks.flock.hostile', [
    payloadOf('<b>bold</b>', { userid: hostile, event: hostile, provider: hostile, data: { [hostile]: hostile } }),
    payloadOf('large', { data: { filler: 'x'.repeat(100_000) } }),
    'not JSON <script>document.title=3</script>',
  ])
  await matching(page, '11')
  await detail.getByRole('tab', { name: 'Event', exact: true }).click()
  await rows(page).filter({ hasText: '<b>bold</b>' }).click()
  await detail.getByText(hostile, { exact: true }).first().waitFor()
  await rows(page).filter({ hasText: 'not a JSON object' }).click()
  await detail.getByText('not JSON <script>').waitFor()
  await rows(page).filter({ hasText: 'made-large' }).click()
  await detail.getByRole('button', { name: /more$/ }).click()
  await holds(async () => assert.ok((await detail.locator('.leaf').filter({ hasText: 'filler' }).textContent()).length > 100_000))
  assert.match(await page.title(), /WEBHOOKS/)
  assert.equal(await page.locator('main img, main script, main b').count(), 0)
  assert.deepEqual(page.complaints, [])
  await page.context().close()
})

test('the snippets work', async (t) => {
  const page = await open(at.page)
  await rows(page).filter({ hasText: 'customer_live' }).click()
  await page.getByRole('tab', { name: 'Consume it' }).click()
  const code = page.locator('.snippets pre')
  await code.filter({ hasText: `nats sub -s ${at.nats} webhooks.flock.invitee.accepted` }).waitFor()
  await page.getByRole('combobox', { name: 'Subject of the snippet' }).selectOption('webhooks.>')
  await code.filter({ hasText: "'webhooks.>'" }).waitFor()
  await page.getByRole('combobox', { name: 'Subject of the snippet' }).selectOption('webhooks.flock.>')
  await publish(at.nats, 'webhooks.flock.invitee.accepted', [payloadOf('last')])
  const dir = mkdtempSync(fileURLToPath(new URL('./snippet-', import.meta.url)))
  t.after(() => rmSync(dir, { recursive: true }))
  for (const [name, file, program] of [['JavaScript', 'consume.mjs', 'node'], ['Go', 'consume.go', 'go']]) {
    await page.getByRole('button', { name, exact: true }).click()
    await code.filter({ hasText: name === 'Go' ? 'package main' : 'import' }).waitFor()
    writeFileSync(join(dir, file), (await code.textContent()).replaceAll('my-service', name))
    await consumes(program, program === 'go' ? ['run', join(dir, file)] : [join(dir, file)])
  }
  // Now the stream has consumers, which the page shows.
  await page.getByRole('tab', { name: 'Stream and consumers' }).click()
  for (const name of ['JavaScript', 'Go']) await page.locator('tr').filter({ has: page.getByRole('cell', { name, exact: true }) }).waitFor()
  assert.deepEqual(page.complaints, [])
  await page.context().close()
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

test('quarantine', async () => {
  const page = await open(at.page)
  assert.equal((await at.send('--stale')).status, 1)
  await page.getByRole('tab', { name: /^Quarantine/ }).click()
  const row = page.locator('tr').filter({ hasText: 'stale' })
  await row.getByRole('button', { name: /^Show/ }).click()
  const [, id] = /([0-9a-f]{32})/.exec(await row.first().textContent())
  await page.locator('#panel-quarantine .key').filter({ hasText: 'timestamp' }).waitFor()
  await page.getByRole('button', { name: / quarantine drop / }).click()
  await until('the command is copied', async () => (await clipboard(page)).endsWith(`quarantine drop ${id}`))
  assert.equal((await run(['quarantine', 'drop', id], { NATS_URL: at.nats })).status, 0)
  await page.getByText('The quarantine is empty.').waitFor()
  assert.deepEqual(page.complaints, [])
  await page.context().close()
})

test('a thousand events arrive and the page goes on drawing', async () => {
  const page = await open(at.page)
  await matching(page, '12')
  await page.evaluate(() => {
    window.frames_ = 0
    const frame = () => { window.frames_++; requestAnimationFrame(frame) }
    frame()
  })
  const payloads = Array.from({ length: 1000 }, (_, i) => payloadOf(i))
  await publish(at.nats, 'webhooks.flock.invitee.accepted', payloads)
  await matching(page, '1,012')
  assert.ok(await page.evaluate(() => window.frames_) > 1, 'it drew nothing meanwhile')
  assert.ok(await rows(page).count() < 100, 'only rows in sight are in the page')

  // What is read stays where it is while more come.
  const list = page.locator('#list')
  await until('it is scrolled', () => list.evaluate((box) => { box.scrollTop = 9000; return box.scrollTop === 9000 }))
  const middle = () => list.evaluate((box) => document.elementFromPoint(100, box.getBoundingClientRect().top + 200).closest('.row')?.dataset.place)
  const place = await until('a row is there', middle)
  await publish(at.nats, 'webhooks.flock.invitee.accepted', payloads.slice(0, 20))
  await page.getByRole('button', { name: '↑ 20 new' }).waitFor()
  await holds(async () => assert.equal(await middle(), place))
  await page.getByRole('button', { name: '↑ 20 new' }).click()
  await matching(page, '1,032')
  await holds(async () => assert.equal(await list.evaluate((box) => box.scrollTop), 0))
  assert.deepEqual(page.complaints, [])
  await page.context().close()
})

test('another site reads nothing', async () => {
  const own = new URL(at.page).host
  for (const [headers, status] of [
    [{ Host: own }, 200],
    [{ Host: `localhost:${new URL(at.page).port}` }, 200],
    [{ Host: 'rebound.test' }, 421],
    [{ Host: `rebound.test:${new URL(at.page).port}` }, 421],
    [{ Host: '127.0.0.1' }, 421],
    [{ Host: own, Origin: at.page }, 200],
    [{ Host: own, Origin: 'https://example.com' }, 403],
    [{ Host: own, Origin: 'null' }, 403],
    [{ Host: own, 'Sec-Fetch-Site': 'same-origin' }, 200],
    [{ Host: own, 'Sec-Fetch-Site': 'cross-site' }, 403],
    [{ Host: own, 'Sec-Fetch-Site': 'same-site' }, 403], // another port of this machine
    [{ Host: own, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'iframe' }, 403],
    [{ Host: own, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' }, 200], // a link
  ]) {
    const got = await raw(at.page, headers)
    assert.equal(got.status, status, JSON.stringify(headers))
    assert.match(got.head, /^content-security-policy: default-src 'none'; .*frame-ancestors 'none'/im)
    for (const wanted of [/^cross-origin-resource-policy: same-origin/im, /^x-content-type-options: nosniff/im, /^referrer-policy: no-referrer/im]) assert.match(got.head, wanted)
    assert.doesNotMatch(got.head, /access-control-allow|unsafe-inline|unsafe-eval/i)
  }
  for (const path of ['/api/feed', '/api/quarantine?sequence=1', '/api/payload?place=x-1', '/main.js']) {
    assert.equal((await raw(at.page, { Host: own, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' }, path)).status, 403, path)
  }

  // The same in a browser: from a page of another origin, and under a name that points here.
  const other = createServer((_, answer) => answer.setHeader('Content-Type', 'text/html').end('<!doctype html><title>other</title>')).listen(0, '127.0.0.1')
  await new Promise((done) => other.on('listening', done))
  const page = await open(`http://127.0.0.1:${other.address().port}/`)
  const read = await page.evaluate(async (url) => {
    const tries = [fetch(url), fetch(`${url}/main.js`, { mode: 'no-cors' }), import(`${url}/dom.js`)]
    const results = (await Promise.allSettled(tries)).map(({ status, value }) => status === 'rejected' ? 'refused' : value.type ?? 'read')
    const source = new EventSource(`${url}/api/feed`)
    results.push(await new Promise((done) => { source.onerror = () => done('refused'); source.onmessage = source.onopen = () => done('read') }))
    const frame = document.createElement('iframe')
    frame.src = url
    document.body.append(frame)
    await new Promise((done) => { frame.onload = done })
    try { results.push(frame.contentDocument ? 'read' : 'refused') } catch { results.push('refused') }
    return results
  }, at.page)
  assert.deepEqual(read, ['refused', 'refused', 'refused', 'refused', 'refused'])
  const rebound = await page.goto(`http://rebound.test:${new URL(at.page).port}/`)
  assert.equal(rebound.status(), 421)
  await page.context().close()
  other.close()
})

test('everybody can read it, in both themes, and it fits a telephone', async () => {
  assert.equal((await at.send('--stale')).status, 1)
  for (const colorScheme of ['light', 'dark']) {
    for (const viewport of [{ width: 1440, height: 900 }, { width: 390, height: 844 }]) {
      const page = await open(at.page, { colorScheme, viewport })
      const check = async (what) => {
        const wide = await page.evaluate(() => [document.scrollingElement.scrollWidth, ...[...document.querySelectorAll('#detail, #list')].map((box) => box.scrollWidth - box.clientWidth)])
        assert.ok(wide[0] <= viewport.width && wide.slice(1).every((over) => over <= 0), `${what} is too wide: ${wide}`)
        const found = await page.evaluate(`(() => { const module = undefined, exports = undefined, define = undefined; ${axe} })(), axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })`)
        assert.deepEqual(found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join('; ')}`), [], `${what}, ${colorScheme}, ${viewport.width} px`)
      }
      await rows(page).first().waitFor()
      await check('the list')
      await rows(page).nth(1).click()
      await page.locator('.facts').first().waitFor()
      await check('an event')
      await page.getByRole('tab', { name: 'Consume it' }).click()
      await page.locator('.snippets pre').filter({ hasText: 'nats sub' }).waitFor()
      await check('a snippet')
      await page.locator('#tab-stream').click()
      await page.getByRole('heading', { name: 'Stream WEBHOOKS' }).waitFor()
      await check('the stream')
      await page.locator('#tab-quarantine').click()
      await page.locator('#panel-quarantine td button').first().click()
      await page.locator('#panel-quarantine .key').first().waitFor()
      await check('the quarantine')
      await page.keyboard.press('?')
      await check('the keys')
      assert.deepEqual(page.complaints, [])
      await page.context().close()
    }
  }
})

test('it says what is amiss, and recovers by itself', async () => {
  const live = (page) => until('it is live', async () => await page.locator('#link-text').textContent() === 'Live')
  const trouble = (page, text) => page.locator('#trouble').filter({ hasText: text }).waitFor()
  const port = 20000 + Math.floor(Math.random() * 10000)
  const nats = `127.0.0.1:${port}`
  const inspecting = start(['inspect', '--addr', '127.0.0.1:0'], { NATS_URL: `nats://${nats}`, STREAM_NAME: 'OTHER' })
  const [, url] = await inspecting.match(/(http:\/\/\S+?)\/\n/)
  let page = await open(url)
  await trouble(page, 'NATS is away')
  const serve = () => start(['serve'], { HTTP_ADDR: '127.0.0.1:0', ADMIN_ADDR: '127.0.0.1:0', EMBEDDED_NATS_ADDR: nats, FLOCK_SECRETS: 'hush' })
  let bridge = serve()
  await trouble(page, 'Stream OTHER does not exist.')
  const nc = await connect({ servers: nats })
  const streams = (await jetstreamManager(nc)).streams
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
  await matching(page, '2')
  await live(page)
  await nc.close()

  await bridge.stop()
  await trouble(page, 'NATS is away')
  bridge = serve()
  await live(page)

  await inspecting.stop()
  await trouble(page, 'bridge inspect doesn’t answer')
  const again = start(['inspect', '--addr', new URL(url).host], { NATS_URL: `nats://${nats}`, STREAM_NAME: 'OTHER' })
  await again.match(/http:/)
  await live(page)
  await matching(page, '1')
  await page.context().close()
})
