// Takes the pictures of docs/inspect.md: node screenshots.js. With a directory, it takes one of every view, in
// both themes and three widths, of long names, many consumers and vendors by preset: to look at after a change.
// pngquant makes them small.
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, headers } from '@nats-io/transport-node'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { close, demo, open, until } from './bridge.js'

const all = process.argv[2]
const to = all ?? fileURLToPath(new URL('../../docs/images/', import.meta.url))
const documented = ['event-light-1440', 'search-light-1440', 'stream-dark-1440', 'event-dark-390', 'quarantine-dark-390']
const wanted = (name) => all || documented.includes(name)
mkdirSync(to, { recursive: true })

const kinds = [
  ['flock', 'com.withflock.', 'invitee.accepted'], ['flock', 'com.withflock.', 'referrer.visited'], ['flock', 'com.withflock.', 'invitee.rewarded'],
  ['frigade', 'com.frigade.', 'flowResponse.completedStep'], ['frigade', 'com.frigade.', 'flowResponse.startedFlow'],
]
const extremes = [
  ['github', 'com.github.', 'pull_request_review_comment.created'], ['stripe', 'com.stripe.', 'customer.subscription.trial_will_end'],
  ['flock', 'com.withflock.', 'an.event.whose.name.is.as.long.as.event.names.may.be.so.that.it.fits.in.no.column.of.any.list.at.all'],
]
function made(i) {
  const list = all && i > 990 && i < 1000 ? extremes : kinds
  const [provider, type, event] = list[(i * 7 + i % 3) % list.length]
  const entity = event.split('.')[0]
  const user = all && i > 994 && i < 1000 ? `customer_${'0123456789abcdef'.repeat(7)}` : `customer_${67890 + i * 37 % 400}`
  const id = provider === 'flock' ? user : `flowResponse_${(i * 2654435761 % 2 ** 32).toString(36)}`
  const now = new Date().toISOString()
  const data = provider === 'flock'
    ? { name: event, entity, entityId: id, data: { campaignId: 'campaign_12345', [entity]: { id, email: `${user}@example.com` }, inviteeReward: { id: 'c_reward_12345', amount: 20 } }, timestamp: Math.floor(Date.now() / 1000) }
    : { type: event, time: now, data: { id, flowSlug: 'onboarding', stepId: 'invite-your-team', actionType: 'COMPLETED_STEP', foreignUserId: user, createdAt: now } }
  return [`webhooks.${provider}.${event}`, JSON.stringify({
    specversion: '1.0', id: Array.from({ length: 4 }, (_, n) => ((i + 1) * (n + 3) * 2654435761 % 2 ** 32).toString(16).padStart(8, '0')).join(''), source: `/webhooks/${provider}`, type: type + event,
    subject: `${entity}/${id}`, time: now, datacontenttype: 'application/json', provider, event, entity, entityid: id, userid: user, receivedtime: now, signed: provider === 'flock' ? 'payload' : 'data', data,
  })]
}

// store stores events: many that no page holds, and then a thousand within half a minute.
async function store(js) {
  const older = 9_684
  for (let i = 0; i < older; i += 1000) await Promise.all(Array.from({ length: Math.min(1000, older - i) }, (_, n) => js.publish(...made(2000 + i + n))))
  if (!all) await new Promise((done) => setTimeout(done, 90_000)) // so that they leave the chart
  let sent = 0
  for (let second = 0; sent < 1000; second++) {
    const n = Math.min(1000 - sent, Math.round(22 + 16 * Math.sin(second / 3) + second % 4 * 5))
    await Promise.all(Array.from({ length: n }, () => js.publish(...made(sent++))))
    await new Promise((done) => setTimeout(done, all ? 10 : 900))
  }
}

// consume makes consumers: one keeps up, one is behind, one asks for nothing.
async function consume(js, { consumers, streams }) {
  for (const [name, filter] of [['billing', 'webhooks.flock.>'], ['crm-sync', 'webhooks.>'], ['analytics', 'webhooks.frigade.>']]) await consumers.add('WEBHOOKS', { durable_name: name, filter_subject: filter, ack_policy: 'explicit' })
  if (all) for (let i = 0; i < 200; i++) await consumers.add('WEBHOOKS', { durable_name: `service-${i}-with-a-name-of-some-length`, filter_subject: `webhooks.*.event-${i}.>`, ack_policy: 'explicit' })
  for (const [name, left] of [['billing', 0], ['analytics', 400]]) {
    const consumer = await js.consumers.get('WEBHOOKS', name)
    for (let { num_pending: n } = await consumer.info(); n > left; n -= 500) {
      for await (const m of await consumer.fetch({ max_messages: Math.min(500, n - left), expires: 3000 })) m.ack()
    }
  }
  await streams.add({ name: 'WEBHOOKS_DEAD', subjects: ['webhooks-dead.>'] })
  for (const reason of ['timed out', 'customer_67890 has no account at the bank, and none can be made for it']) {
    const h = headers()
    h.set('Dead-Subject', 'webhooks.flock.invitee.accepted')
    h.set('Dead-Reason', reason)
    await js.publish('webhooks-dead.billing', '{}', { headers: h })
  }
}

const at = await demo()
try {
  await at.send('--stale')
  await at.send('--stale')
  const nc = await connect({ servers: at.nats })
  const js = jetstream(nc)
  const manager = await jetstreamManager(nc)
  await store(js)
  await consume(js, manager)
  for (const colorScheme of ['light', 'dark']) {
    for (const [width, height] of [[1440, 900], [768, 1024], [390, 844]]) {
      const page = await open(undefined, at.page, { colorScheme, viewport: { width, height } })
      const take = async (what) => {
        const name = `${what}-${colorScheme}-${width}`
        if (wanted(name)) await page.screenshot({ path: `${to}/inspect-${name}.png` })
      }
      await until('all is there', async () => (await page.locator('#chart-peak').textContent()).startsWith('1,000 events') && await page.locator('#fact-behind').textContent() !== '–')
      await take('list')
      await page.locator('.row').nth(4).click()
      await page.locator('.facts').first().waitFor()
      await take('event')
      if (width < 760) await page.locator('#back').click()
      await page.locator('#search').fill('usr:67890 user:customer_67890')
      await take('unknown')
      await page.locator('#search').fill('user:customer_68075')
      await take('held')
      await page.locator('#older-go').click()
      await page.locator('#older').getByText('The whole stream is searched').waitFor()
      await page.locator('.row').nth(2).waitFor()
      if (width > 760) await page.locator('.row').nth(2).click()
      await take('search')
      await page.locator('#search').fill('nobody')
      await page.getByText('No match among the events').waitFor()
      await take('nothing')
      await page.locator('#tab-stream').click()
      await page.getByRole('rowheader', { name: 'billing' }).waitFor()
      await take('stream')
      await page.locator('#panel-stream').evaluate((panel) => { panel.scrollTop = panel.scrollHeight })
      await take('dead')
      await page.locator('#tab-quarantine').click()
      await page.locator('#panel-quarantine td button').first().click()
      await page.locator('#panel-quarantine .key').first().waitFor()
      await take('quarantine')
      await page.context().close()
    }
  }
  await nc.close()
} finally {
  await close()
}
