import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { filter } from '../../internal/inspect/static/filter.js'
import { growth, observe } from '../../internal/inspect/static/lag.js'
import { newest } from '../../internal/inspect/static/list.js'
import { clipboard, close, file, holds, matching, payloadOf, publish, rows, run, until, openDemo } from './bridge.js'

after(close)

test('the page and the server find the same events', () => {
  const { messages, queries } = JSON.parse(readFileSync(new URL('../../internal/inspect/testdata/queries.json', import.meta.url)))
  for (const { search, provider = '', event = '', finds } of queries) {
    const matches = filter({ search, provider, event })
    const found = Object.entries(messages).filter(([, { subject, event, text }]) => {
      const { data: _, ...envelope } = event ?? {}
      return matches({ subject, event: event && envelope, payload: text ?? JSON.stringify(event) })
    }).map(([name]) => name)
    assert.deepEqual(found, finds, JSON.stringify({ search, provider, event }))
  }
})

test('the growth of a backlog, measured over half a minute', () => {
  for (const [at, behind, created, want] of [
    [0, 10, 'first', 0],
    [2, 14, 'first', 0], // the readings span too short a time
    [10, 30, 'first', 2],
    [20, 10, 'first', 0],
    [45, 110, 'first', 4], // since 20
    [50, 5, 'first', 0], // less than at 20
    [60, 500, 'second', 0], // created again
    [70, 600, 'second', 10], // since then
    [200, 600, 'second', 0], // stands still
    [210, 1600, 'second', 100], // since 200
  ]) {
    const consumer = { name: 'a', created, num_pending: behind - 3, num_ack_pending: 3 }
    observe([consumer], 1000 + at)
    assert.equal(growth(consumer), want, `after ${at} s`)
  }
  observe([], 1211)
  assert.equal(growth({ name: 'a', created: 'second' }), 0)
})

test('the newest events are kept, within bounds of number and bytes', () => {
  const events = (n, size) => Array.from({ length: n }, (_, sequence) => ({ sequence, payload: 'x'.repeat(size) }))
  for (const [n, size, want] of [[0, 0, 0], [5000, 10, 5000], [5001, 10, 5000], [70, 1 << 19, 64], [2, 33 << 20, 1]]) {
    const kept = newest(events(n, size))
    assert.equal(kept.length, want, `${n} of ${size} bytes`)
    if (n) assert.equal(kept.at(-1).sequence, n - 1)
  }
})

test('the page shows stored events, and new ones as they come', async (t) => {
  const { at, page } = await openDemo(t)
  await holds(async () => assert.equal(await page.locator('#link-text').textContent(), 'Live'))
  await at.send('--data', file({ invitee: { id: 'customer_live' } }))
  await rows(page).filter({ hasText: 'customer_live' }).waitFor()
  await holds(async () => assert.match(await rows(page).first().textContent(), /invitee\.accepted.*customer_live/))
  await holds(async () => assert.equal(await rows(page).first().locator('.name').getAttribute('data-provider'), 'flock'))
  await until('the stream is counted', async () => await page.locator('#fact-stream').textContent() === '7')
  await holds(async () => assert.match(await page.locator('#chart').getAttribute('aria-label'), /7 in all/))
})

test('search and filters', async (t) => {
  const { at, page } = await openDemo(t)
  await at.send('--data', file({ invitee: { id: 'customer_live' } }))
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
  await page.getByText('There is no field “x”, so “x:…” is searched for as text. Fields: user, entity, id, event, provider, subject, signed.').waitFor()
  await page.getByRole('button', { name: 'Show all' }).click()
  await matching(page, '7')
  await page.locator('#provider').selectOption('frigade')
  await matching(page, '3 of 7')
  await page.locator('#event').selectOption('flowResponse.completedFlow')
  await matching(page, '1 of 7')
  await page.getByRole('button', { name: 'Clear' }).click()
  await matching(page, '7')
})

test('a paused page keeps its list, also if many events came while it was hidden', async (t) => {
  const { at, page } = await openDemo(t)
  const hide = (hidden) => page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true })
    document.dispatchEvent(new Event('visibilitychange'))
  }, hidden)
  await page.locator('#pause').click()
  await hide(true)
  await publish(at.nats, 'webhooks.flock.many', Array.from({ length: 1010 }, (_, i) => payloadOf(i)))
  await hide(false)
  await page.locator('#pause').filter({ hasText: 'Resume · 1,000 new' }).waitFor()
  assert.equal(await page.locator('#matching').textContent(), '6')
  await page.locator('#pause').click()
  await matching(page, '1,000')
})

test('by keyboard alone', async (t) => {
  const { at, page } = await openDemo(t)
  await at.send('--data', file({ invitee: { id: 'customer_live' } }))
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
  await page.getByRole('button', { name: 'Resume · 1 new' }).waitFor()
  assert.equal(await page.locator('#matching').textContent(), '7')
  await page.keyboard.press('p')
  await matching(page, '8')
  await chosen(/customer_live/)
})

test('one event: tree, copying, raw, large, hostile', async (t) => {
  const { at, page } = await openDemo(t)
  await at.send('--data', file({ invitee: { id: 'customer_live' } }))
  await matching(page, '7')
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

  // The content of an event is shown as text.
  const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
  await publish(at.nats, 'webhooks.flock.hostile', [
    payloadOf('<b>bold</b>', { userid: hostile, event: hostile, provider: hostile, data: { [hostile]: hostile } }),
    payloadOf('large', { data: { filler: 'x'.repeat(100_000) } }),
    'not JSON <script>document.title=3</script>',
  ])
  await matching(page, '10')
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
})

test('while a thousand events arrive, the page goes on drawing', async (t) => {
  const { at, page } = await openDemo(t)
  await page.evaluate(() => {
    window.frames_ = 0
    const frame = () => { window.frames_++; requestAnimationFrame(frame) }
    frame()
  })
  const payloads = Array.from({ length: 1000 }, (_, i) => payloadOf(i))
  await publish(at.nats, 'webhooks.flock.invitee.accepted', payloads)
  await matching(page, '1,006')
  assert.ok(await page.evaluate(() => window.frames_) > 1, 'it drew nothing meanwhile')
  assert.ok(await rows(page).count() < 100, 'only rows in sight are in the page')

  // The visible events stay where they are while more come.
  const list = page.locator('#list')
  await until('it is scrolled', () => list.evaluate((box) => { box.scrollTop = 9000; return box.scrollTop === 9000 }))
  const middle = () => list.evaluate((box) => document.elementFromPoint(100, box.getBoundingClientRect().top + 200).closest('.row')?.dataset.sequence)
  const sequence = await until('a row is there', middle)
  await publish(at.nats, 'webhooks.flock.invitee.accepted', payloads.slice(0, 20))
  await page.getByRole('button', { name: '↑ 20 new' }).waitFor()
  await holds(async () => assert.equal(await middle(), sequence))
  await page.getByRole('button', { name: '↑ 20 new' }).click()
  await matching(page, '1,026')
  await holds(async () => assert.equal(await list.evaluate((box) => box.scrollTop), 0))
})
