// Stripe: https://docs.stripe.com/webhooks/signature
import { deliveries, future, id, mac, malformed, missing, stale, swap, text, timeOf, unix, unreadable, wrong } from '../../testdata/vectors.mjs'

const v1 = (body, secret, time = unix) => mac(secret, `${time}.${body}`).toString('hex')
const sign = (body, secret, { time = unix } = {}) => ({ 'Stripe-Signature': `t=${time},v1=${v1(body, secret, time)},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39` })
const claims = (body, headers) => {
  const b = JSON.parse(body)
  return {
    scheme: 'payload', name: b.type, userid: text(b.data?.object?.customer),
    time: timeOf(Number(/t=([\d.]+)/.exec(headers['Stripe-Signature'])[1])), id: id('hooks', text(b.id) || `.${body}`),
  }
}
const { vectors, add } = deliveries('stripe', sign, claims)
export { vectors }

const B = JSON.stringify({ id: 'evt_1NG8Du2eZvKYlo2CUI79vXWy', object: 'event', created: 1686089970, data: { object: { id: 'in_1', object: 'invoice', customer: 'cus_NeZwdNtLEOXuvB', amount_paid: 1000 } }, livemode: false, pending_webhooks: 1, type: 'invoice.paid' }, null, 2)
const header = (f) => (h) => ({ 'Stripe-Signature': f(h['Stripe-Signature']) })
const rolled = `t=${unix},v1=${v1(B, 'new')},v1=${v1(B, 'right')}`
add('a paid invoice', B)
add('tried again: another time, another count, the same id', swap(B, '"pending_webhooks": 1', '"pending_webhooks": 0'), { set: { time: unix + 3600 }, at: '2026-01-02T04:04:05Z' })
add('a customer who is expanded', swap(B, '"cus_NeZwdNtLEOXuvB"', '{"id":"cus_1"}'))
add('an escaped name', swap(B, 'invoice.paid', 'invoice.p\\u0061id'))
add('an escaped member', swap(B, '"type"', '"t\\u0079pe"'))
add('no id', swap(B, '"id": "evt_1NG8Du2eZvKYlo2CUI79vXWy",', ''))
add('a rolled secret: two signatures, the first', B, { secrets: ['new', 'right'], secret: 'new', given: { 'Stripe-Signature': rolled } })
add('a rolled secret: two signatures, the second', B, { given: { 'Stripe-Signature': rolled } })
add('blanks after the commas', B, { change: header((s) => s.replaceAll(',', ', ')) })
add('the time behind', B, { given: { 'Stripe-Signature': `v1=${v1(B, 'right')},t=${unix}` } })
add('the time twice', B, { change: header((s) => `t=${unix},${s}`), error: missing })
add('two times', B, { change: header((s) => `t=${unix + 1},${s}`), error: missing })
add('no time', B, { change: header((s) => s.replace(/t=\d+,/, '')), error: missing })
add('an empty time', B, { change: header((s) => s.replace(/t=\d+,/, 't=,')), error: missing })
add('v0 alone', B, { change: header((s) => s.replace(/v1=[0-9a-f]+,/, '')), error: malformed })
add('twenty signatures, the last one right', B, { change: header((s) => s.replace('v1=', `v1=${'00'.repeat(32)},`.repeat(19) + 'v1=')) })
add('another time', B, { change: header((s) => s.replace(`t=${unix}`, `t=${unix + 1}`)), error: wrong })
add('a time with a fraction, so with the text behind it', B, { set: { time: `${unix}.5` } })
add('too old', B, { set: { time: unix - 301 }, error: stale })
add('from the future', B, { set: { time: unix + 301 }, error: future })
add('another body', B, { sent: swap(B, '1000', '1'), error: wrong })
add('the same, compact', B, { sent: JSON.stringify(JSON.parse(B)), error: wrong })
add('no type', '{"id":"evt_1"}', { error: unreadable })
add('no type, and too old', '{"id":"evt_1"}', { set: { time: unix - 301 }, error: stale })
