import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect as dial } from 'node:net'
import { after, test } from 'node:test'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { cleanup, close, demo, open, payloadOf, publish, rows } from './bridge.js'

const axe = readFileSync(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
after(close)

// raw sends a request with any headers, and returns the status and the headers of the answer.
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

test('another site reads nothing', async (t) => {
  const at = await demo(t)
  const own = new URL(at.page).host
  for (const [headers, status] of [
    [{ Host: own }, 200],
    [{ Host: `localhost:${new URL(at.page).port}` }, 200],
    [{ Host: 'rebound.test' }, 421],
    [{ Host: `rebound.test:${new URL(at.page).port}` }, 421],
    [{ Host: '127.0.0.1' }, 200], // addresses can't be rebound
    [{ Host: 'localhost.rebound.test' }, 421],
    [{ Host: own, Origin: 'http://rebound.test' }, 403],
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
  for (const path of ['/api/feed', '/api/quarantine?sequence=1', '/main.js']) {
    assert.equal((await raw(at.page, { Host: own, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' }, path)).status, 403, path)
  }

  // The same in a browser: from a page of another origin, and under a name that points here.
  const other = createServer((_, answer) => answer.setHeader('Content-Type', 'text/html').end('<!doctype html><title>other</title>')).listen(0, '127.0.0.1')
  await new Promise((done) => other.on('listening', done))
  cleanup(t, () => other.close())
  const page = await open(t, `http://127.0.0.1:${other.address().port}/`, { mayComplain: true })
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
})

// publishLongNames creates events and consumers with long names, an event of a preset's vendor and a dead letter.
async function publishLongNames({ nats }) {
  const long = 'x'.repeat(120)
  await publish(nats, 'webhooks.github.push', [payloadOf(1, { provider: 'github', event: 'pull_request_review_comment.created', userid: long, subject: `pull/${long}` })])
  await publish(nats, 'webhooks.flock.long', [payloadOf(2, { event: `an.event.of.${long}` })])
  const nc = await connect({ servers: nats })
  const { streams, consumers } = await jetstreamManager(nc)
  await streams.add({ name: 'WEBHOOKS_DEAD', subjects: ['webhooks-dead.>'] })
  await publish(nats, 'webhooks-dead.billing', ['{}'])
  for (const name of ['billing', long]) await consumers.add('WEBHOOKS', { durable_name: name, ack_policy: 'explicit', filter_subject: `webhooks.${name}` })
  await nc.close()
}

test('the page is accessible in both themes, and fits a telephone', async (t) => {
  const at = await demo(t)
  assert.equal((await at.send('--stale')).status, 1)
  await publishLongNames(at)
  for (const colorScheme of ['light', 'dark']) {
    for (const viewport of [{ width: 1440, height: 900 }, { width: 768, height: 1024 }, { width: 390, height: 844 }]) {
      const page = await open(t, at.page, { colorScheme, viewport })
      const check = async (what) => {
        const wide = await page.evaluate(() => [document.scrollingElement.scrollWidth, ...[...document.querySelectorAll('#detail, #list, #tabs, #filters, #panel-stream, #panel-quarantine, .scroll')].map((box) => box.scrollWidth - box.clientWidth)])
        assert.ok(wide[0] <= viewport.width && wide.slice(1).every((over) => over <= 0), `${what} is too wide: ${wide}`)
        const found = await page.evaluate(`(() => { const module = undefined, exports = undefined, define = undefined; ${axe} })(), axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })`)
        assert.deepEqual(found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join('; ')}`), [], `${what}, ${colorScheme}, ${viewport.width} px`)
      }
      await rows(page).first().waitFor()
      await check('the list')
      const caption = await page.locator('figcaption').evaluate((caption) => {
        caption.children[1].textContent = '100,000 events, at most 10,000 in a second'
        return caption.clientHeight
      })
      assert.equal(caption, 16, `the chart's caption is one line at ${viewport.width} px`)
      await rows(page).nth(1).click()
      await page.locator('.facts').first().waitFor()
      await check('an event')
      if (viewport.width < 760) await page.locator('#back').click()
      await page.locator('#search').fill('usr:nobody')
      await page.locator('#search-problem').waitFor()
      await check('a search')
      await page.locator('#search').fill('')
      await rows(page).nth(1).click()
      await page.getByRole('tab', { name: 'Consume it' }).click()
      await page.locator('.snippets pre').filter({ hasText: 'nats sub' }).waitFor()
      await check('a snippet')
      await page.locator('#tab-stream').click()
      await page.getByRole('heading', { name: 'Dead letters' }).waitFor()
      await check('the stream')
      await page.locator('#tab-quarantine').click()
      await page.locator('#panel-quarantine td button').first().click()
      await page.locator('#panel-quarantine .key').first().waitFor()
      await check('the quarantine')
      await page.keyboard.press('?')
      await check('the keys')
      await page.context().close()
    }
  }
})
