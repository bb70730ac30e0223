// Each preset against the vendor's own code, both ways.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { sign as octokitSign, verify as octokitVerify } from '@octokit/webhooks-methods'
import '@shopify/shopify-api/adapters/node'
import { ApiVersion, shopifyApi } from '@shopify/shopify-api'
import { createSHA256HMAC } from '@shopify/shopify-api/runtime'
import bolt from '@slack/bolt'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import Stripe from 'stripe'
import { Webhook as SvixWebhook } from 'svix'
import { accepted, deliver, secrets, sent } from './bridge.js'

const stripe = new Stripe('sk_test_x')
const shopify = shopifyApi({
  apiKey: 'key', apiSecretKey: secrets.shopify, scopes: [], hostName: 'hooks.example.com', apiVersion: Object.values(ApiVersion)[0], isEmbeddedApp: false,
  logger: { log: () => {} },
})

// A number that no double holds, escapes, and white space: all of it stays but the white space.
const odd = ' "odd": 9007199254740993,\n "text": "\\u0026 \\/",'
const kept = '"odd":9007199254740993,"text":"\\u0026 \\/",'

test('stripe signs, the bridge accepts', async () => {
  const body = `{${odd}"id":"evt_1","object":"event","type":"invoice.paid","data":{"object":{"id":"in_1","customer":"cus_1"}}}`
  const header = (options) => ({ 'Stripe-Signature': stripe.webhooks.generateTestHeaderString({ payload: body, secret: secrets.billing, ...options }) })
  const { subject, payload, event, answer } = await accepted('billing', body, header())
  assert.equal(subject, 'webhooks.billing.invoice.paid')
  assert.deepEqual([event.type, event.source, event.provider, event.event, event.userid, event.signed], ['com.stripe.invoice.paid', '/webhooks/billing', 'stripe', 'invoice.paid', 'cus_1', 'payload'])
  assert.ok(payload.includes(`"data":{${kept}"id"`), payload)

  const again = await deliver('billing', body, header({ timestamp: Math.floor(Date.now() / 1000) - 60 }))
  assert.deepEqual([again.status, again.id], [200, answer.id], 'tried again with another time, it is the same event')
  assert.equal((await deliver('billing', body, header({ timestamp: Math.floor(Date.now() / 1000) - 600 }))).code, 'stale')
  assert.equal((await deliver('billing', body.replace('cus_1', 'cus_2'), header())).status, 401)
  assert.equal((await deliver('billing', body, header({ secret: 'whsec_other' }))).status, 401)
})

test('the bridge signs, stripe accepts', async () => {
  const { headers, body } = await sent('billing', 'customer.created')
  const current = 'an-older-one-of-stripe-0123456789' // the first of the file
  assert.equal(stripe.webhooks.constructEvent(body, headers['stripe-signature'], current).type, 'customer.created')
  assert.throws(() => stripe.webhooks.constructEvent(body + ' ', headers['stripe-signature'], current))
  const old = await sent('billing', '--stale')
  assert.throws(() => stripe.webhooks.constructEvent(old.body, old.headers['stripe-signature'], current), /tolerance/)
})

for (const [name, Webhook, prefix] of [['standardwebhooks', StandardWebhook, 'webhook'], ['svix', SvixWebhook, 'svix']]) {
  const webhook = new Webhook(secrets['standard-webhooks'])

  test(`${name} signs, the bridge accepts`, async () => {
    const body = `{${odd}"type":"contact.created","data":{}}`
    const id = `msg_${name}`
    const headers = (date, body_ = body) => ({
      [`${prefix}-id`]: id, [`${prefix}-timestamp`]: String(Math.floor(date / 1000)), [`${prefix}-signature`]: webhook.sign(id, date, body_),
    })
    const { subject, payload, event, answer } = await accepted('standard-webhooks', body, headers(new Date()))
    assert.equal(subject, 'webhooks.standard-webhooks.contact.created')
    assert.equal(event.type, 'webhook.standard-webhooks.contact.created')
    assert.ok(payload.includes(`"data":{${kept}"type"`), payload)
    const again = await deliver('standard-webhooks', body, headers(new Date(Date.now() - 60_000)))
    assert.deepEqual([again.id, again.status], [answer.id, 200])
    assert.equal((await deliver('standard-webhooks', body, headers(new Date(Date.now() - 600_000)))).code, 'stale')
    assert.equal((await deliver('standard-webhooks', body + ' ', headers(new Date()))).status, 401)
    const two = headers(new Date())
    two[`${prefix}-signature`] = `v1,${Buffer.alloc(32).toString('base64')} ${two[`${prefix}-signature`]}`
    assert.equal((await deliver('standard-webhooks', body, two)).status, 200)
  })

  test(`the bridge signs, ${name} accepts`, async () => {
    const { headers, body } = await sent('standard-webhooks', 'contact.deleted')
    assert.equal(webhook.verify(body, headers).type, 'contact.deleted')
    assert.throws(() => webhook.verify(body.replace('deleted', 'created'), headers))
  })
}

test('octokit signs, the bridge accepts', async () => {
  const body = `{${odd}"action":"opened","sender":{"id":1}}`
  const headers = async (b) => ({ 'X-GitHub-Event': 'issues', 'X-Hub-Signature-256': await octokitSign(secrets.github, b) })
  const { subject, payload, event } = await accepted('github', body, await headers(body))
  assert.equal(subject, 'webhooks.github.issues')
  assert.deepEqual([event.type, event.userid, event.signed], ['com.github.issues', '1', 'body'])
  assert.ok(!payload.includes('"time":'), 'a time is made up')
  assert.ok(payload.includes(`"data":{${kept}"action"`), payload)
  assert.equal((await deliver('github', body.replace('opened', 'closed'), await headers(body))).status, 401)

  const form = 'payload=' + encodeURIComponent(body)
  const asForm = await accepted('github', form, { ...await headers(form), 'Content-Type': 'application/x-www-form-urlencoded' })
  assert.ok(asForm.payload.includes(`"data":{${kept}"action"`), asForm.payload)
  const other = 'a=1'
  assert.equal((await deliver('github', other, { ...await headers(other), 'Content-Type': 'application/x-www-form-urlencoded' })).status, 400)
})

test('the bridge signs, octokit accepts', async () => {
  const { headers, body } = await sent('github', 'push')
  assert.equal(headers['x-github-event'], 'push')
  assert.equal(await octokitVerify(secrets.github, body, headers['x-hub-signature-256']), true)
  assert.equal(await octokitVerify(secrets.github, body + ' ', headers['x-hub-signature-256']), false)
})

// @slack/bolt verifies only; the signature is that of Slack's page.
const slackHeaders = (body, time = Math.floor(Date.now() / 1000)) => ({
  'X-Slack-Request-Timestamp': String(time), 'X-Slack-Signature': 'v0=' + createHmac('sha256', secrets.slack).update(`v0:${time}:${body}`).digest('hex'),
})
const boltAccepts = (headers, body) => bolt.isValidSlackRequest({
  signingSecret: secrets.slack, body,
  headers: { 'x-slack-signature': headers['x-slack-signature'], 'x-slack-request-timestamp': Number(headers['x-slack-request-timestamp']) },
})
const lower = (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

test('what bolt accepts, the bridge accepts', async () => {
  const body = `{${odd}"event":{"type":"app_mention","user":"U1"},"type":"event_callback","event_id":"Ev1"}`
  const headers = slackHeaders(body)
  assert.equal(boltAccepts(lower(headers), body), true)
  const { subject, payload, event, answer } = await accepted('slack', body, headers)
  assert.equal(subject, 'webhooks.slack.app_mention')
  assert.deepEqual([event.type, event.userid, event.signed], ['com.slack.app_mention', 'U1', 'payload'])
  assert.ok(payload.includes(`"data":{${kept}"event"`), payload)
  const again = await deliver('slack', body, { ...slackHeaders(body, Math.floor(Date.now() / 1000) - 10), 'X-Slack-Retry-Num': '1' })
  assert.deepEqual([again.status, again.id], [200, answer.id])
  const old = slackHeaders(body, Math.floor(Date.now() / 1000) - 600)
  assert.equal(boltAccepts(lower(old), body), false)
  assert.equal((await deliver('slack', body, old)).code, 'stale')

  const form = 'payload=' + encodeURIComponent('{"type":"block_actions","user":{"id":"U2"}}')
  const interaction = await accepted('slack', form, { ...slackHeaders(form), 'Content-Type': 'application/x-www-form-urlencoded' })
  assert.equal(interaction.subject, 'webhooks.slack.block_actions')
  const challenge = '{"token":"x","challenge":"y","type":"url_verification"}'
  assert.equal((await accepted('slack', challenge, slackHeaders(challenge))).subject, 'webhooks.slack.url_verification')
})

test('the bridge signs, bolt accepts', async () => {
  const { headers, body } = await sent('slack', 'message')
  assert.equal(boltAccepts(headers, body), true)
  assert.equal(boltAccepts(headers, body + ' '), false)
  assert.equal(JSON.parse(body).event.type, 'message')
})

test('shopify signs, the bridge accepts', async () => {
  const body = `{${odd}"id":820982911946154508,"customer":{"id":115310627314723954}}`
  const headers = async (b) => ({ 'X-Shopify-Topic': 'orders/create', 'X-Shopify-Hmac-Sha256': await createSHA256HMAC(secrets.shopify, b) })
  const { subject, payload, event } = await accepted('shopify', body, await headers(body))
  assert.equal(subject, 'webhooks.shopify.orders_create')
  assert.deepEqual([event.type, event.event, event.userid, event.signed], ['com.shopify.orders/create', 'orders/create', '115310627314723954', 'body'])
  assert.ok(payload.includes(`"data":{${kept}"id":820982911946154508,"customer"`), payload)
  assert.equal((await deliver('shopify', body + '\n', await headers(body))).status, 401)
})

test('the bridge signs, shopify accepts', async () => {
  const { headers, body } = await sent('shopify', 'orders/paid')
  const validate = (rawBody) => shopify.webhooks.validate({
    rawBody, rawResponse: {},
    rawRequest: {
      method: 'POST', url: '/webhooks/shopify',
      headers: { ...headers, 'x-shopify-shop-domain': 'x.myshopify.com', 'x-shopify-api-version': '2026-01', 'x-shopify-webhook-id': 'b54557e4' },
    },
  })
  const right = await validate(body)
  assert.equal(right.valid, true, JSON.stringify(right))
  assert.equal((await validate(body + ' ')).valid, false)
})
