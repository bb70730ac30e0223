// Frigade's vectors: deliveries as its pages sign them, and what must become of each.
import { S, contradiction, escaped, future, id, mac, malformed, many, missing, noData, now, other, right, samples, stale, swap, text, unreadable, wrong } from '../../testdata/vectors.mjs'

const signedBy = (scheme, body) => (scheme === 'payload' ? S(body) : JSON.stringify(JSON.parse(body).data))

const claims = (scheme, body) => {
  const { type, time, data } = JSON.parse(body)
  const named = scheme === 'payload' || typeof data.actionType === 'string'
  return {
    scheme, secret: 0, name: type, entity: type.split('.')[0], entityid: text(data?.id),
    userid: text(data?.foreignUserId) || text(data?.userId), time: time.toUpperCase(),
    id: id('frigade', signedBy(scheme, body), named ? undefined : escaped(type)),
  }
}

const unsigned = (scheme, body) => {
  if (scheme === 'payload') return {}
  const named = typeof JSON.parse(body).data.actionType === 'string'
  return { ...(named ? {} : { type: 'another event' }), time: 'the time', '*': 'nothing' }
}

export const vectors = []
const add = (name, signed, { by = 'data', set = by, freshness = 'signed', sent = signed, text, says, send, error, untimed, secrets = ['older', right], at = now, tolerance = '24h', file } = {}) => {
  const m = mac(right, text ?? signedBy(by, signed))
  const { headers = [m.toString('base64')], body = sent } = send ? send(m, sent) : {}
  vectors.push({
    name, scheme: set, freshness, tolerance, now: at, secrets,
    headers: headers.map((h) => ['X-Webhook-Signature', h]),
    ...(file ? { file } : { body }),
    ...(text ? { assent: true } : {}),
    ...(error ? { error, untimed } : { claims: { ...claims(by, body), ...(text ? { id: id('frigade', text) } : {}), ...says, secret: secrets.indexOf(right) }, unsigned: unsigned(by, body) }),
  })
}

const G = '{"type":"flowResponse.completedStep","time":"2026-01-02T03:04:05.000Z","data":{"id":"f1","actionType":"COMPLETED_STEP","createdAt":"2026-01-02T03:04:04.900Z","foreignUserId":"u1","userId":7}}'
const withMember = (signature, body = G) => swap(body, '{"type"', `{"signature":${JSON.stringify(signature)},"type"`)
const hex = (m) => m.toString('hex'), b64 = (m) => m.toString('base64'), url = (m) => m.toString('base64url')
const zeros = '0'.repeat(64)
const payload = { by: 'payload' }

add('header, base64: the code of the page', G)
add('header, hex: the prose of the page', G, { send: (m) => ({ headers: [hex(m)] }) })
add('header, base64 without padding', G, { send: (m) => ({ headers: [b64(m).replace('=', '')] }) })
add('header, URL alphabet', G, { send: (m) => ({ headers: [url(m)] }) })
add('header, URL alphabet with padding', G, { send: (m) => ({ headers: [url(m) + '='] }) })
add('member, hex', G, { send: (m) => ({ headers: [], body: withMember(hex(m)) }) })
add('member, base64', G, { send: (m) => ({ headers: [], body: withMember(b64(m)) }) })
add('member is right, header is wrong', G, { send: (m) => ({ headers: [zeros], body: withMember(b64(m)) }) })
add('header is right, member is wrong', G, { send: (m) => ({ headers: [b64(m)], body: withMember('x') }) })
add('sent with white space', G, { sent: JSON.stringify(JSON.parse(G), null, '\t') })
add('step ids that are indices', swap(G, '"id"', '"10":{"a":1},"9":{"2":0,"1":0},"id"'))
add('payload', G, payload)
add('payload with a member that is part of it', withMember('x'), payload)
add('an empty data may not be, an empty data.data may', swap(G, '"userId"', '"data":{},"userId"'))
add('no foreignUserId', swap(G, '"foreignUserId":"u1",', ''))
add('an empty foreignUserId', swap(G, '"u1"', '""'))
add('no actionType', swap(G, '"actionType":"COMPLETED_STEP",', ''))
add('no actionType, another event', swap(G, '"actionType":"COMPLETED_STEP",', '', 'completedStep', 'startedStep'))
add('actionType is null', swap(G, '"COMPLETED_STEP"', 'null'))
add('NOT_STARTED_FLOW', swap(G, 'COMPLETED_STEP', 'NOT_STARTED_FLOW', 'completedStep', 'notStartedFlow'))
add('older event name', swap(G, 'COMPLETED_STEP', 'ABORTED_FLOW', 'completedStep', 'abortedFlow'))
add('a payload may contradict itself: all of it is signed', swap(G, 'completedStep', 'startedStep'), payload)

add('no signature', G, { send: () => ({ headers: [] }), error: missing })
add('a member that is no text', G, { send: (_, b) => ({ headers: [], body: swap(b, '{"type"', '{"signature":null,"type"') }), error: missing })
add('a prefix', G, { send: (m) => ({ headers: ['sha256=' + hex(m)] }), error: malformed })
add('a line break in the member', G, { send: (m) => ({ headers: [], body: withMember(b64(m).replace('=', '') + '\n') }), error: malformed })
add("the page's sample signature, too short for SHA-256", G, { send: () => ({ headers: [], body: withMember('cabff19d9da06705f62c26c2a66154') }), error: malformed })
add('the same header twice: a proxy has doubled it', G, { send: (m) => ({ headers: [b64(m), b64(m)] }) })
add('two headers that differ', G, { send: (m) => ({ headers: [b64(m), hex(m)] }), error: many })
add('two headers and a right member', G, { send: (m) => ({ headers: [b64(m), zeros], body: withMember(b64(m)) }), error: many })
add('neither is right', G, { send: () => ({ headers: [zeros], body: withMember('1'.repeat(64)) }), error: wrong })
add('other data', G, { sent: swap(G, '"f1"', '"f2"'), error: wrong })
add('the secret is not known', G, { secrets: ['other'], error: wrong })
add('no secret', G, { secrets: [], error: wrong })
add('an empty secret', G, { secrets: [''], error: wrong })
add('a payload by the member', G, { ...payload, send: (m) => ({ headers: [], body: withMember(b64(m)) }), error: missing })
add('data is signed, but payload is set', G, { set: 'payload', error: other })
add('payload is signed, but data is set', G, { ...payload, set: 'data', error: other })
add('signed data replayed as a payload', G, { set: 'payload', sent: JSON.stringify(JSON.parse(G).data), error: unreadable })
const inner = swap(G, '"userId":7', '"type":"a.b","time":"2026-01-02T03:04:05Z","data":{"x":1}')
add('signed data that looks like a payload, replayed as one', inner, { sent: JSON.stringify(JSON.parse(inner).data), error: other })
add('no data', '{"type":"a.b","time":"2026-01-02T03:04:05Z","data":null}', { error: noData })
add('empty data', '{"type":"a.b","time":"2026-01-02T03:04:05Z","data":{}}', { error: noData })
add('data that is text', '{"type":"a.b","time":"2026-01-02T03:04:05Z","data":"{}"}', { error: noData })
add('data that is an array', '{"type":"a.b","time":"2026-01-02T03:04:05Z","data":[{}]}', { error: noData })

const test = '{"type":"flowResponse.completedStep","time":"2026-01-02T03:04:05Z"}'
add('payload without data: a test from the dashboard', test, payload)
add('payload, data is null', swap(test, '}', ',"data":null}'), payload)
add('payload, data is empty', swap(test, '}', ',"data":{}}'), payload)
add('payload, a test that is no event', '{"test":true}', { ...payload, error: unreadable })
add('payload without data, of another secret', test, { ...payload, secrets: ['other'], error: wrong })

// What senders in other languages sign: the bytes that they send. text is what was signed.
const big = '9007199254740993', near = '9007199254740992' // one double
const spaced = swap(G, '"data":', '"data" : ', '"id":"f1"', `"id":${big}, "n": 1.50`, '"foreignUserId":"u1",', '', '"userId":7', `"userId": ${big}`)
const dataOf = (body) => body.slice(body.indexOf('"data" : ') + 9, -1)
const asSent = { text: dataOf(spaced), says: { entityid: big, userid: big } }
add('as sent: data', spaced, asSent)
add('as sent: data, with other white space around', spaced, { ...asSent, sent: swap(spaced, '"data" : ', '"data":\n') })
add('as sent: data, a number that is the same double', spaced, { ...asSent, sent: swap(spaced, big, near), error: wrong })
add('as sent: data, another type', spaced, { ...asSent, sent: swap(spaced, 'completedStep', 'startedStep'), error: contradiction })
add('as sent: payload', spaced, { ...payload, ...asSent, text: spaced })
add('as sent: payload, but data is set', spaced, { ...payload, set: 'data', text: spaced, error: other })

add('another type', G, { sent: swap(G, 'completedStep', 'startedStep'), error: contradiction })
add('a type without a dot', G, { sent: swap(G, 'flowResponse.completedStep', 'completedStep'), error: contradiction })
add('a type that says more', G, { sent: swap(G, 'completedStep', 'completedStep.x'), error: contradiction })
add('a type in another case', G, { sent: swap(G, 'completedStep', 'CompletedStep'), error: contradiction })

for (const first of ['evilEntity', 'FlowResponse', 'flowresponse', '', 'flowResponse.flowResponse']) {
  add(`another first token: ${first}`, G, { sent: swap(G, 'flowResponse.', `${first}.`), error: contradiction })
}
add('another first token without actionType', swap(G, '"actionType":"COMPLETED_STEP",', '', 'flowResponse.', 'user.'))
add('another first token, all of it signed', swap(G, 'flowResponse.', 'user.'), payload)
for (const [member, variant] of [['data', 'DATA'], ['data', 'dAta'], ['type', 'Type'], ['time', 'TIME']]) {
  const more = swap(G, '{', `{"${variant}":${JSON.stringify(JSON.parse(G)[member])},`)
  add(`${variant} beside ${member}`, G, { sent: more, error: contradiction })
  add(`${variant} beside ${member}, escaped and behind it`, G, { sent: swap(G, '"userId":7}}', `"userId":7},"\\u00${variant.charCodeAt(0).toString(16)}${variant.slice(1)}":{}}`), error: contradiction })
  add(`${variant} beside ${member}, all of it signed`, more, payload)
}
add('a variant in data is signed', swap(G, '"actionType"', '"ACTIONTYPE":"X","actionType"'))
add('names that are no variants', G, { sent: swap(G, '{', '{"data__x":1,"types":2,"tíme":3,"\u212a":4,') })

add('no type', swap(G, '"type":"flowResponse.completedStep",', ''), { error: unreadable })
add('type taken away, DATA beside data', G, { sent: swap(G, '"type":"flowResponse.completedStep"', '"DATA":{}'), error: contradiction })
add('an empty type', swap(G, 'flowResponse.completedStep', ''), { error: unreadable })
add('a type that is an object', swap(G, '"flowResponse.completedStep"', '{}'), { error: unreadable })
add('no time', swap(G, '"time":"2026-01-02T03:04:05.000Z",', ''), { error: unreadable })
add('a time that is a number', swap(G, '"2026-01-02T03:04:05.000Z"', '1767323045'), { error: unreadable })
add('a time with a comma', swap(G, '05.000Z', '05,000Z'), { error: unreadable })
add('a time without a zone', swap(G, '05.000Z', '05'), { error: unreadable })
add('an hour of one digit', swap(G, 'T03:04:05.000Z', 'T3:04:05.000Z'), { error: unreadable })
add('a day that does not exist', swap(G, '2026-01-02T03:04:05.000Z', '2026-02-30T03:04:05.000Z'), { error: unreadable })
add('a time in lower case', swap(G, '2026-01-02T03:04:05.000Z', '2026-01-02t03:04:05z'))
for (const zone of ['+24:00', '-00:60']) {
  const at = swap('2026-01-02T03:04:05Z', 'Z', zone) // by RFC 3339 a zone has up to 23 hours and 59 minutes
  add(`a time in the zone ${zone}`, swap(G, '2026-01-02T03:04:05.000Z', at), { error: unreadable })
}
add('a time in another zone', swap(G, '2026-01-02T03:04:05.000Z', '2026-01-02T05:04:05+02:00'))

add('just not too old', swap(G, '2026-01-02T03:04:05.000Z', '2026-01-01T03:04:05Z'))
add('too old', swap(G, '2026-01-02T03:04:05.000Z', '2026-01-01T03:04:04.9Z'), { error: stale })
add('just not too far in the future', swap(G, '2026-01-02T03:04:05.000Z', '2026-01-02T03:09:05Z'))
add('too far in the future', swap(G, '2026-01-02T03:04:05.000Z', '2026-01-02T03:09:05.1Z'), { error: future })
const old = swap(G, '"2026-01-02T03:04:04.900Z"', '"2026-01-01T03:04:04Z"')
add('time renewed, createdAt is old', old, { error: stale })
add('createdAt is old, and type taken away', old, { sent: swap(old, '"type":"flowResponse.completedStep",', ''), error: stale, untimed: unreadable })
add('createdAt is old, and time taken away', old, { sent: swap(old, '"time":"2026-01-02T03:04:05.000Z",', ''), error: stale, untimed: unreadable })
add('createdAt is old, but time alone is judged', old, { freshness: 'time' })
add('createdAt is old, but time is signed', old, payload)
add('createdAt is far ahead: a browser has it', swap(G, '"2026-01-02T03:04:04.900Z"', '"2036-01-01T03:04:04Z"'))
add('createdAt is null', swap(G, '"2026-01-02T03:04:04.900Z"', 'null'))
add('no createdAt', swap(G, '"createdAt":"2026-01-02T03:04:04.900Z",', ''))
add('createdAt is no time', swap(G, '"2026-01-02T03:04:04.900Z"', '"yesterday"'), { error: unreadable })

// The realistic samples, by both schemes, each received a second after it was sent.
for (const { file, body } of samples(import.meta.url)) {
  const parsed = JSON.parse(body)
  const at = new Date(Date.parse(parsed.time) + 1000).toISOString()
  const old = parsed.data.createdAt && Date.parse(parsed.data.createdAt) < Date.parse(at) - 86400e3
  add(`${file}, data`, body, { file, at, ...(old ? { error: stale } : {}) })
  add(`${file}, payload`, body, { ...payload, file, at })
}
