// Takes the pictures of docs/inspect.md: node screenshots.js. With a directory, all there are: of every view in
// both themes, wide and narrow, to be looked at after a change of the page.
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { close, demo, open, until } from './bridge.js'

const to = process.argv[2] ?? fileURLToPath(new URL('../../docs/images/', import.meta.url))
const wanted = (name) => process.argv[2] || ['event-light-1440', 'stream-dark-1440', 'event-dark-390'].includes(name)
mkdirSync(to, { recursive: true })

const kinds = [
  ['flock', 'com.withflock.', 'invitee.accepted'], ['flock', 'com.withflock.', 'referrer.visited'], ['flock', 'com.withflock.', 'invitee.rewarded'],
  ['frigade', 'com.frigade.', 'flowResponse.completedStep'], ['frigade', 'com.frigade.', 'flowResponse.startedFlow'],
]
function made(i) {
  const [provider, type, event] = kinds[(i * 7 + i % 3) % kinds.length]
  const entity = event.split('.')[0]
  const user = `customer_${67890 + i * 37 % 400}`
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

const at = await demo()
try {
  await at.send('--stale')
  const nc = await connect({ servers: at.nats })
  const js = jetstream(nc)
  const { consumers } = await jetstreamManager(nc)
  for (const [name, filter] of [['billing', 'webhooks.flock.>'], ['crm-sync', 'webhooks.>'], ['analytics', 'webhooks.frigade.>']]) await consumers.add('WEBHOOKS', { durable_name: name, filter_subject: filter, ack_policy: 'explicit' })
  let sent = 0
  for (let second = 0; sent < 1000; second++) {
    const n = Math.min(1000 - sent, Math.round(22 + 16 * Math.sin(second / 3) + second % 4 * 5))
    await Promise.all(Array.from({ length: n }, () => js.publish(...made(sent++))))
    await new Promise((done) => setTimeout(done, 900))
  }
  for (const [name, n] of [['billing', 1000], ['analytics', 240]]) {
    const consumer = await js.consumers.get('WEBHOOKS', name)
    for await (const m of await consumer.fetch({ max_messages: n, expires: 3000 })) m.ack()
  }
  for (const colorScheme of ['light', 'dark']) {
    for (const [width, height] of [[1440, 900], [390, 844]]) {
      const page = await open(at.page, { colorScheme, viewport: { width, height } })
      const take = async (what) => {
        const name = `${what}-${colorScheme}-${width}`
        if (wanted(name)) await page.screenshot({ path: `${to}/inspect-${name}.png` })
      }
      await until('all is there', async () => await page.locator('#matching').textContent() === '1,006' && await page.locator('#fact-behind').textContent() !== '–')
      if (width < 760) await take('list')
      await page.locator('.row').nth(4).click()
      await page.locator('.facts').first().waitFor()
      await take('event')
      await page.locator('#tab-stream').click()
      await page.getByRole('cell', { name: 'billing' }).waitFor()
      await take('stream')
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
