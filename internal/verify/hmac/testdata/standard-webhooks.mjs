// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
import { contradiction, deliveries, future, id, mac, malformed, many, missing, stale, swap, timeOf, unix, unreadable, wrong } from '../../testdata/vectors.mjs'

const right = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const key = (secret) => Buffer.from(secret.replace('whsec_', ''), 'base64')
const sign = (body, secret, { time = unix, msg = 'msg_1', prefix = 'webhook' } = {}) => ({
  [`${prefix}-id`]: msg, [`${prefix}-timestamp`]: String(time), [`${prefix}-signature`]: 'v1,' + mac(key(secret), `${msg}.${time}.${body}`).toString('base64'),
})
const claims = (body, headers) => {
  const of = (name) => headers[`webhook-${name}`] ?? headers[`svix-${name}`]
  return { scheme: 'payload', name: JSON.parse(body).type, userid: '', time: timeOf(Number(of('timestamp'))), id: id('hooks', of('id')) }
}
const made = deliveries('standard-webhooks', sign, claims)
export const vectors = made.vectors
const add = (name, body, options) => made.add(name, body, { secret: right, ...options })

const B = '{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z","data":{"id":"1f81eb52-5198-4599-803e-771906343485"}}'
const signature = (h) => h['webhook-signature']
const header = (f) => (h) => ({ ...h, 'webhook-signature': f(h['webhook-signature']) })
add('an event', B)
add('the same event, tried again', B, { set: { time: unix + 30 } })
add('under the other names', B, { set: { prefix: 'svix' } })
const both = (other = {}) => (h) => ({ ...h, 'svix-id': h['webhook-id'], 'svix-timestamp': h['webhook-timestamp'], 'svix-signature': signature(h), ...other })
add('under both names', B, { change: both() })
add('under both names, with another signature', B, { change: both({ 'svix-signature': 'v1,AAAA' }), error: many })
add('under both names, with another id', B, { change: both({ 'svix-id': 'msg_2' }), error: many })
add('under both names, with another time', B, { change: both({ 'svix-timestamp': '1' }), error: many })
add('another id under its other name', B, { change: (h) => ({ ...h, 'svix-id': 'msg_2' }), error: many })
add('a secret without its prefix', B, { secret: right.slice(6), secrets: [right.slice(6)] })
add('two signatures, one of an older secret', B, { change: header((s) => `v1,${mac('other', B).toString('base64')} ${s}`) })
add('a signature of another kind beside it', B, { change: header((s) => `v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== ${s}`) })
add('an escaped name', swap(B, 'contact.', 'c\\u006fntact.'))
add("the specification's example", '{"test": 2432232314}', {
  at: '2021-02-25T15:02:10Z', error: unreadable,
  given: { 'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek', 'webhook-timestamp': '1614265330', 'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=' },
})
add("the example of Svix's page", '{"email":"test@example.com","username":"test_user"}', {
  secret: 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD', at: '2022-04-07T21:39:13Z', error: unreadable,
  given: { 'svix-id': 'msg_27UH4WbU6Z5A5EzD8u03UvzRbpk', 'svix-timestamp': '1649367553', 'svix-signature': 'v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=' },
})
add('no id', B, { change: ({ 'webhook-id': _, ...h }) => h, error: missing })
add('the id twice', B, { change: (h) => ({ ...h, 'webhook-id': ['msg_1', 'msg_1'] }), error: missing })
add('no time', B, { change: ({ 'webhook-timestamp': _, ...h }) => h, error: missing })
add('no signature', B, { change: ({ 'webhook-signature': _, ...h }) => h, error: missing })
add('names mixed', B, { change: (h) => ({ 'svix-id': h['webhook-id'], 'webhook-timestamp': h['webhook-timestamp'], 'webhook-signature': signature(h) }), error: missing })
add('two headers', B, { change: (h) => ({ ...h, 'webhook-signature': [signature(h), 'v1,AAAA'] }), error: many })
add('no version', B, { change: header((s) => s.slice(3)), error: malformed })
add('another version', B, { change: header((s) => s.replace('v1', 'v2')), error: malformed })
add('an id with a full stop, which could end elsewhere', B, { set: { msg: 'msg.1' }, error: contradiction })
add('a part of the id moved into the time', B, { set: { msg: 'msg' }, change: (h) => ({ ...h, 'webhook-id': 'ms' }), error: wrong })
add('another id', B, { change: (h) => ({ ...h, 'webhook-id': 'msg_2' }), error: wrong })
add('another time', B, { change: (h) => ({ ...h, 'webhook-timestamp': `${unix + 1}` }), error: wrong })
add('the secret as text', B, { change: () => ({ 'webhook-id': 'msg_1', 'webhook-timestamp': `${unix}`, 'webhook-signature': 'v1,' + mac(right, `msg_1.${unix}.${B}`).toString('base64') }), error: wrong })
add('too old', B, { set: { time: unix - 301 }, error: stale })
add('from the future', B, { set: { time: unix + 301 }, error: future })
add('no type', '{"data":{}}', { error: unreadable })
add('another body', B, { sent: swap(B, 'created', 'deleted'), error: wrong })
