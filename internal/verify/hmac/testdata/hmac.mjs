// Settings of all kinds, as vendors' pages describe them.
import { contradiction, deliveries, future, id, mac, malformed, missing, now, stale, swap, text, timeOf, unix, unreadable, wrong } from '../../testdata/vectors.mjs'

export const vectors = []
const vendor = (settings, sign, claims, unsigned = {}) => {
  const made = deliveries('hmac', sign, claims, { unsigned })
  return (name, body, options = {}) => {
    made.add(name, body, { settings, ...options })
    vectors.push(made.vectors.pop())
  }
}

// A time in the body, in milliseconds, and an id there; semicolons.
{
  const add = vendor(
    { SIGNATURE_HEADER: 'paddle-like', SIGNATURE_FORMAT: 'ts={timestamp};h1={hex}', SIGNED: '{timestamp}:{body}', TIMESTAMP: 'signature', EVENT: 'body:event_type', EVENT_ID: 'body:event_id', USER: 'body:data.customer_id' },
    (body, secret, { time = unix } = {}) => ({ 'Paddle-Like': `ts=${time};h1=${mac(secret, `${time}:${body}`).toString('hex')}` }),
    (body) => { const b = JSON.parse(body); return { scheme: 'payload', name: b.event_type, userid: text(b.data?.customer_id), time: now, id: id('hooks', b.event_id) } })
  const B = '{"event_id":"evt_1","event_type":"transaction.completed","data":{"customer_id":"ctm_1"}}'
  add('a list with semicolons', B)
  add('a list with semicolons: commas', B, { change: (h) => ({ 'Paddle-Like': h['Paddle-Like'].replace(';', ',') }), error: malformed })
  add('a list with semicolons: too old', B, { set: { time: unix - 600 }, error: stale })
}
{
  const add = vendor(
    { SIGNATURE_HEADER: 'X-Signature', SIGNATURE_FORMAT: '{hex}', SIGNED: '{body}', TIMESTAMP: 'body:meta.at', TIMESTAMP_UNIT: 'ms', EVENT: 'body:meta.kind', EVENT_ID: 'body:meta.id', SECRET_ENCODING: 'hex' },
    (body, secret) => ({ 'X-Signature': mac(Buffer.from(secret, 'hex'), body).toString('hex') }),
    (body) => { const { meta } = JSON.parse(body); return { scheme: 'payload', name: meta.kind, userid: '', time: timeOf(meta.at / 1000), id: id('hooks', text(meta.id)) } })
  const B = `{"meta":{"at":${unix}250,"kind":"a.b","id":7}}`
  const secret = '00ff10'
  add('a time in the body, in milliseconds, a secret in hex', B, { secret })
  add('a time in the body, as text', swap(B, `${unix}250`, `"${unix}250"`), { secret })
  add('a time in the body: seconds', swap(B, '250', ''), { secret, error: stale })
  add('a time in the body: none', '{"meta":{"kind":"a","id":7}}', { secret, error: unreadable })
  add('a time in the body: an exponent', swap(B, `${unix}250`, '1.7e12'), { secret, error: stale })
}
{
  // The time and the id are headers, nothing stands between the id and RFC 3339, nor before the body.
  const add = vendor(
    { SIGNATURE_HEADER: 'X-Sig', SIGNATURE_FORMAT: 'sha256={base64}', SIGNED: '{header:X-Id}|{timestamp}{body}', TIMESTAMP: 'header:X-Time', TIMESTAMP_UNIT: 'rfc3339', EVENT: 'header:X-Kind', EVENT_ID: 'header:X-Id' },
    (body, secret, { time = now, msg = 'i-1' } = {}) => ({ 'X-Id': msg, 'X-Time': String(time), 'X-Kind': 'thing.done', 'X-Sig': 'sha256=' + mac(secret, `${msg}|${time}${body}`).toString('base64') }),
    (_, h) => ({ scheme: 'payload', name: h['X-Kind'], userid: '', time: h['X-Time'].toUpperCase(), id: id('hooks', h['X-Id']) }),
    { 'X-Kind': 'the name' })
  add('RFC 3339 in a header', '{"a":1}')
  add('RFC 3339 in a header: a fraction and a zone', '{"a":1}', { set: { time: '2026-01-02T04:04:05.25+01:00' } })
  add('RFC 3339 in a header: lower case', '{"a":1}', { set: { time: '2026-01-02t03:04:05z' } })
  add('RFC 3339 in a header: from the future', '{"a":1}', { set: { time: '2026-01-02T03:14:05Z' }, error: future })
  add('RFC 3339 in a header: seconds', '{"a":1}', { set: { time: unix }, error: unreadable })
  add('an id with the text behind it', '{"a":1}', { set: { msg: 'a|b' }, error: contradiction })
}
{
  // RFC 3339 may contain the text behind it: its form tells where it ends.
  const add = vendor(
    { SIGNATURE_HEADER: 'X-Sig', SIGNATURE_FORMAT: '{hex}', SIGNED: '{timestamp}.{header:X-Id}:{body}', TIMESTAMP: 'header:X-Time', TIMESTAMP_UNIT: 'rfc3339', EVENT: 'body:type', EVENT_ID: 'header:X-Id' },
    (body, secret, { time = '2026-01-02T03:04:05.25Z', msg = 'i-1' } = {}) => ({ 'X-Id': msg, 'X-Time': time, 'X-Sig': mac(secret, `${time}.${msg}:${body}`).toString('hex') }),
    (body, h) => ({ scheme: 'payload', name: JSON.parse(body).type, userid: '', time: h['X-Time'], id: id('hooks', h['X-Id']) }))
  add('RFC 3339 with the text behind it', '{"type":"a"}')
  add('RFC 3339 with the text behind it: none that it contains', '{"type":"a"}', { set: { time: now } })
  add('RFC 3339 with the text behind it: no time', '{"type":"a"}', { set: { time: '1767323045.25' }, error: contradiction })
}
{
  // What isn't signed is used all the same, but for an id.
  const add = vendor(
    { SIGNATURE_HEADER: 'X-Sig', SIGNATURE_FORMAT: 'v1={hex}', SIGNED: 'https://hooks.example.com/webhooks/hooks{body}', TIMESTAMP: 'header:X-Time', EVENT: 'header:X-Kind', EVENT_ID: 'header:X-Id' },
    (body, secret, { time = unix } = {}) => ({ 'X-Id': 'i-1', 'X-Time': String(time), 'X-Kind': 'thing.done', 'X-Sig': 'v1=' + mac(secret, 'https://hooks.example.com/webhooks/hooks' + body).toString('hex') }),
    (body, h) => ({ scheme: 'body', name: h['X-Kind'], userid: '', time: timeOf(Number(h['X-Time'])), id: id('hooks', 'https://hooks.example.com/webhooks/hooks' + body) }),
    { 'X-Kind': 'the name', 'X-Id': 'nothing', 'X-Time': 'the time' })
  add('an unsigned time, id and name', '{"a":1}')
  add('several signatures with commas', '{"a":1}', { change: (h) => ({ ...h, 'X-Sig': 'v1=' + '0'.repeat(64) + ', ' + h['X-Sig'] }) })
  add('an unsigned time, too old', '{"a":1}', { set: { time: unix - 600 }, error: stale })
  add('an unsigned time that is missing', '{"a":1}', { change: ({ 'X-Time': _, ...h }) => h, error: unreadable })
  add('another body under a fixed text', '{"a":1}', { sent: '{"a":2}', error: wrong })
}
{
  // The time stands behind the body.
  const add = vendor(
    { SIGNATURE_HEADER: 'X-Sig', SIGNATURE_FORMAT: '{base64}', SIGNED: 'POST{body}{timestamp}', TIMESTAMP: 'header:X-Time', TIMESTAMP_UNIT: 'ms', EVENT: 'body:type' },
    (body, secret, { time = unix * 1000 } = {}) => ({ 'X-Time': String(time), 'X-Sig': mac(secret, `POST${body}${time}`).toString('base64') }),
    (body, h) => ({ scheme: 'payload', name: JSON.parse(body).type, userid: '', time: timeOf(Number(h['X-Time']) / 1000), id: id('hooks', `POST${body}`) }))
  add('the time behind the body', '{"type":"a"}')
  add('the time behind the body, later', '{"type":"a"}', { set: { time: unix * 1000 + 999 } })
}
{
  // Twitch: https://dev.twitch.tv/docs/eventsub/handling-webhook-events/
  const add = vendor(
    { SIGNATURE_HEADER: 'Twitch-Eventsub-Message-Signature', SIGNATURE_FORMAT: 'sha256={hex}', SIGNED: '{header:Twitch-Eventsub-Message-Id}{timestamp}{body}', TIMESTAMP: 'header:Twitch-Eventsub-Message-Timestamp', TIMESTAMP_UNIT: 'rfc3339', EVENT: 'body:subscription.type', EVENT_ID: 'header:Twitch-Eventsub-Message-Id', USER: 'body:event.user_id' },
    (body, secret, { time = '2026-01-02T03:04:05.123456789Z', msg = 'e76c6bd4-55c9-4987-8304-da1588d8988b' } = {}) => ({
      'Twitch-Eventsub-Message-Id': msg, 'Twitch-Eventsub-Message-Timestamp': time, 'Twitch-Eventsub-Message-Signature': 'sha256=' + mac(secret, msg + time + body).toString('hex'),
    }),
    (body, h) => { const b = JSON.parse(body); return { scheme: 'payload', name: b.subscription.type, userid: text(b.event?.user_id), time: h['Twitch-Eventsub-Message-Timestamp'], id: id('hooks', h['Twitch-Eventsub-Message-Id']) } })
  const B = '{"subscription":{"id":"f1c2a387-161a-49f9-a165-0f21d7a4e1c4","type":"channel.follow"},"event":{"user_id":"1337"}}'
  add('an id and a time without text between', B)
  add('an id that ends in digits', B, { set: { msg: '12026' } })
  add('an id and a time in seconds', B, { set: { time: String(unix) }, error: contradiction })
}
