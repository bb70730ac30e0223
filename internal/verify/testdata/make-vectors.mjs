// Makes flock.json and frigade.json beside it: deliveries as the vendors' own code would sign them,
// by JSON.stringify and node:crypto, and what must become of each. It shares no code with what it
// tests.
//
//   node make-vectors.mjs          writes both files
//   node make-vectors.mjs --check  says whether they are as it would write them
import { createHash, createHmac } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'

const here = (file) => new URL(file, import.meta.url)
const S = (text) => JSON.stringify(JSON.parse(text))
const mac = (secret, text) => createHmac('sha256', secret).update(text, 'utf8').digest()
const now = '2026-01-02T03:04:05Z'
const unix = Date.parse(now) / 1000
const right = 'right'

// swap returns text with the first `from` replaced, and fails where there is none.
const swap = (text, ...pairs) => {
  for (let i = 0; i < pairs.length; i += 2) {
    if (!text.includes(pairs[i])) throw new Error(`${text} has no ${pairs[i]}`)
    text = text.replace(pairs[i], () => pairs[i + 1])
  }
  return text
}

const text = (value) => (typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '')

// id is section 3 of the contract.
const id = (endpoint, signed, name) =>
  createHash('sha256').update(endpoint).update('\0').update(signed, 'utf8')
    .update(name === undefined ? '' : '\0' + name, 'utf8').digest('hex').slice(0, 32)

// escaped is how a string stands in a canonical body, without its quotes.
const escaped = (string) => JSON.stringify(string).slice(1, -1)

// ---------------------------------------------------------------------------------------------

const flockSigned = (scheme, body) => {
  if (scheme === 'payload') return S(body)
  const { timestamp, data } = JSON.parse(body)
  return JSON.stringify(timestamp) + JSON.stringify(data)
}

const flockClaims = (scheme, body) => {
  const b = JSON.parse(body)
  const person = ['invitee', 'referrer'].includes(b.entity) ? text(b.data?.[b.entity]?.id) : ''
  return {
    scheme, secret: 0, name: b.name, entity: text(b.entity), entityid: text(b.entityId), userid: person,
    time: new Date(b.timestamp * 1000).toISOString().replace(/\.?0*Z$/, 'Z'),
    id: id('flock', flockSigned(scheme, body), scheme === 'payload' ? undefined : escaped(b.name)),
  }
}

// What a holder of the delivery can change without the secret: by member, what that changes. `*` is
// any other member. See the test for the words.
const flockUnsigned = { payload: {}, 'timestamp-data': { name: 'another event', '*': 'nothing' } }

const flock = []
const flockCase = (name, signed, { by = 'payload', set = 'auto', sent = signed, header = (h) => [h], error, untimed, secrets = [right], at = now, tolerance = '5m', file } = {}) => {
  const signature = mac(right, flockSigned(by, signed)).toString('hex')
  flock.push({
    name, scheme: set, tolerance, now: at, secrets,
    headers: header(signature).map((h) => ['X-Flock-Signature', h]),
    ...(file ? { file } : { body: sent }),
    ...(error ? { error, untimed } : { claims: { ...flockClaims(by, sent), secret: secrets.indexOf(right) }, unsigned: flockUnsigned[by] }),
  })
}

const F = `{"name":"invitee.accepted","entity":"invitee","entityId":"i1","data":{"referrer":{"id":"r1"},"invitee":{"id":"i1"}},"timestamp":${unix}}`
const td = { by: 'timestamp-data' }
const wrong = 'signature wrong', malformed = 'signature undecodable', missing = 'signature missing', many = 'more than one signature header'
const other = 'signature right, but over what the endpoint is not set to'
const unreadable = 'not readable as an event', contradiction = 'an unsigned field contradicts a signed one', stale = 'too old', future = 'too far in the future'

flockCase('payload: the code of the page', F)
flockCase('timestamp-data: the prose of the page', F, td)
flockCase('payload alone allowed', F, { set: 'payload' })
flockCase('timestamp-data alone allowed', F, { ...td, set: 'timestamp-data' })
flockCase('payload, but only timestamp-data is allowed', F, { set: 'timestamp-data', error: other })
flockCase('timestamp-data, but only payload is allowed', F, { ...td, set: 'payload', error: other })
flockCase('hex in upper case', F, { header: (h) => [h.toUpperCase()] })
flockCase('an older secret', F, { secrets: ['current', right, 'oldest'] })
flockCase('sent with white space', F, { sent: JSON.stringify(JSON.parse(F), null, 2) })
flockCase('sent with escapes', F, { sent: swap(F, 'accepted', '\\u0061ccepted', '1767', '1767') })
flockCase('members that are indices', swap(F, '"timestamp"', '"10":1,"9":{"2":0,"1":0},"timestamp"'))
flockCase('lone surrogates', swap(F, '"r1"', '"r1\\ud800","x":"\\udfff\\ud83d"'))
flockCase('numbers that print in another way', swap(F, '"r1"', '"r1","n":[1.0,1e2,1e21,1e-7,-0,12345678901234567890]'))
flockCase('numbers that print in another way, timestamp-data', swap(F, '"r1"', '"r1","n":[1.0,1e2,1e21,1e-7,-0,12345678901234567890]', `${unix}}`, `${unix}.0}`), td)
flockCase('a fraction of a second', swap(F, `${unix}}`, `${unix}.25}`))
flockCase('no data', `{"name":"a.b","timestamp":${unix}}`)
flockCase('an event that nobody knows', swap(F, 'invitee.accepted', 'referral.flagged.later'))
flockCase('ids that are numbers', swap(F, '"entityId":"i1"', '"entityId":7', '"invitee":{"id":"i1"}', '"invitee":{"id":7}'), td)
flockCase('a campaign', `{"name":"campaign.launched","entity":"campaign","entityId":"c1","data":{"campaignId":"c1"},"timestamp":${unix}}`, td)
flockCase('a payload may contradict itself: all of it is signed', swap(F, 'invitee.accepted', 'referrer.visited'))

flockCase('no header', F, { header: () => [], error: missing })
flockCase('an empty header', F, { header: () => [''], error: missing })
flockCase('the same header twice', F, { header: (h) => [h, h], error: many })
flockCase('two signatures in one header', F, { header: (h) => [`${h},${h}`], error: malformed })
flockCase('a prefix', F, { header: (h) => [`sha256=${h}`], error: malformed })
flockCase('not hex', F, { header: (h) => ['g' + h.slice(1)], error: malformed })
flockCase('cut', F, { header: (h) => [h.slice(2)], error: malformed })
flockCase('base64', F, { header: (h) => [Buffer.from(h, 'hex').toString('base64')], error: malformed })
flockCase("the page's sample signature, too short for SHA-256", F, { header: () => ['abcdef1234567890abcdef1234567890abcdef1234567890'], error: malformed })
flockCase('other body', F, { sent: swap(F, 'r1', 'r2'), error: wrong })
flockCase('other data', F, { ...td, sent: swap(F, 'r1', 'r2'), error: wrong })
flockCase('other timestamp', F, { ...td, sent: swap(F, `${unix}`, `${unix + 1}`), error: wrong })
flockCase('timestamp taken away', F, { ...td, sent: swap(F, `,"timestamp":${unix}`, ''), error: wrong })
flockCase('the secret is not known', F, { secrets: ['other'], error: wrong })
flockCase('no secret', F, { secrets: [], error: wrong })
flockCase('an empty secret', F, { secrets: [''], error: wrong })

flockCase('a name of another entity', F, { ...td, sent: swap(F, 'invitee.accepted', 'referrer.accepted'), error: contradiction })
flockCase('another entity', F, { ...td, sent: swap(F, '"entity":"invitee"', '"entity":"referrer"'), error: contradiction })
flockCase('another entity and name', F, { ...td, sent: swap(F, '"entity":"invitee"', '"entity":"referrer"', 'invitee.accepted', 'referrer.rewarded'), error: contradiction })
flockCase('no entity', F, { ...td, sent: swap(F, '"entity":"invitee",', ''), error: contradiction })
flockCase('another entityId', F, { ...td, sent: swap(F, '"entityId":"i1"', '"entityId":"i2"'), error: contradiction })
flockCase('entityId of another type', swap(F, '"i1"', '"7"', '"i1"', '"7"'), { ...td, sent: swap(F, '"i1"', '7', '"i1"', '"7"'), error: contradiction })
flockCase('no entityId', F, { ...td, sent: swap(F, '"entityId":"i1",', ''), error: contradiction })
flockCase('name and entity that data does not have', F, { ...td, sent: swap(F, '"invitee.accepted"', '"campaign.launched"', '"entity":"invitee"', '"entity":"campaign"') })

for (const [member, variant] of [['data', 'DATA'], ['data', 'Data'], ['timestamp', 'timeſtamp'], ['name', 'Name'], ['entityId', 'entityid'], ['entity', 'ENTITY']]) {
  const more = (body) => swap(body, '{', `{"${variant}":${JSON.stringify(JSON.parse(body)[member])},`)
  flockCase(`${variant} beside ${member}`, F, { ...td, sent: more(F), error: contradiction })
  flockCase(`${variant} beside ${member}, behind it`, F, { ...td, sent: swap(F, `${unix}}`, `${unix},"${variant}":{}}`), error: contradiction })
  flockCase(`${variant} beside ${member}, all of it signed`, more(F))
}
flockCase('a variant in data is signed', swap(F, '"invitee":{', '"INVITEE":{"id":"i2"},"invitee":{'), td)
flockCase('names that are no variants', F, { ...td, sent: swap(F, '{', '{"data_":1,"dat":2,"dáta":3,"names":4,"K":5,') })

flockCase('no name', swap(F, '"name":"invitee.accepted",', ''), { error: unreadable })
flockCase('an empty name', swap(F, 'invitee.accepted', ''), { error: unreadable })
flockCase('a name that is a number', swap(F, '"invitee.accepted"', '5'), { error: unreadable })
flockCase('name taken away', F, { ...td, sent: swap(F, '"name":"invitee.accepted",', ''), error: unreadable })
flockCase('too old, and its name taken away', swap(F, `${unix}`, `${unix - 300.5}`), { ...td, sent: swap(F, '"name":"invitee.accepted",', '', `${unix}`, `${unix - 300.5}`), error: stale, untimed: unreadable })
flockCase('no timestamp: the sample code accepts it', swap(F, `,"timestamp":${unix}`, ''), { error: unreadable })
flockCase('a timestamp that is text: the sample code accepts it', swap(F, `${unix}`, '"now"'), { error: unreadable })
flockCase('a timestamp that is text, timestamp-data', swap(F, `${unix}`, `"${unix}"`), { ...td, error: unreadable })
flockCase('a timestamp that is null', swap(F, `${unix}`, 'null'), { error: unreadable })
flockCase('a timestamp past the doubles', swap(F, `${unix}`, '1e999'), { error: unreadable })
flockCase('a timestamp that is an object', swap(F, `${unix}`, '{}'), { ...td, error: wrong })
flockCase('data that is no object', swap(F, '{"referrer":{"id":"r1"},"invitee":{"id":"i1"}}', '[]'), { ...td, error: wrong })

flockCase('just not too old', swap(F, `${unix}`, `${unix - 300}`))
flockCase('too old', swap(F, `${unix}`, `${unix - 300.5}`), { error: stale })
flockCase('just not too far in the future', swap(F, `${unix}`, `${unix + 300}`))
flockCase('too far in the future', swap(F, `${unix}`, `${unix + 300.5}`), { error: future })
flockCase('milliseconds', swap(F, `${unix}`, `${unix}000`), { error: future })
flockCase('the greatest double', swap(F, `${unix}`, '1.7976931348623157e308'), { error: future })
flockCase('the least double', swap(F, `${unix}`, '-1.7976931348623157e308'), { error: stale })

// ---------------------------------------------------------------------------------------------

const frigadeSigned = (scheme, body) => (scheme === 'payload' ? S(body) : JSON.stringify(JSON.parse(body).data))

const frigadeClaims = (scheme, body) => {
  const { type, time, data } = JSON.parse(body)
  const named = scheme === 'payload' || typeof data.actionType === 'string'
  return {
    scheme, secret: 0, name: type, entity: type.split('.')[0], entityid: text(data.id),
    userid: text(data.foreignUserId) || text(data.userId), time: time.toUpperCase(),
    id: id('frigade', frigadeSigned(scheme, body), named ? undefined : escaped(type)),
  }
}

const frigadeUnsigned = (scheme, body) => {
  if (scheme === 'payload') return {}
  const named = typeof JSON.parse(body).data.actionType === 'string'
  return { ...(named ? {} : { type: 'another event' }), time: 'the time', '*': 'nothing' }
}

const frigade = []
const frigadeCase = (name, signed, { by = 'data', set = by, freshness = 'signed', sent = signed, send, error, untimed, secrets = ['older', right], at = now, tolerance = '24h', file } = {}) => {
  const m = mac(right, frigadeSigned(by, signed))
  const { headers = [m.toString('base64')], body = sent } = send ? send(m, sent) : {}
  frigade.push({
    name, scheme: set, freshness, tolerance, now: at, secrets,
    headers: headers.map((h) => ['X-Webhook-Signature', h]),
    ...(file ? { file } : { body }),
    ...(error ? { error, untimed } : { claims: { ...frigadeClaims(by, body), secret: secrets.indexOf(right) }, unsigned: frigadeUnsigned(by, body) }),
  })
}

const G = '{"type":"flowResponse.completedStep","time":"2026-01-02T03:04:05.000Z","data":{"id":"f1","actionType":"COMPLETED_STEP","createdAt":"2026-01-02T03:04:04.900Z","foreignUserId":"u1","userId":7}}'
const withMember = (signature, body = G) => swap(body, '{"type"', `{"signature":${JSON.stringify(signature)},"type"`)
const hex = (m) => m.toString('hex'), b64 = (m) => m.toString('base64'), url = (m) => m.toString('base64url')
const zeros = '0'.repeat(64)
const payload = { by: 'payload' }
const noData = 'data is not an object or is empty'

frigadeCase('header, base64: the code of the page', G)
frigadeCase('header, hex: the prose of the page', G, { send: (m) => ({ headers: [hex(m)] }) })
frigadeCase('header, base64 without padding', G, { send: (m) => ({ headers: [b64(m).replace('=', '')] }) })
frigadeCase('header, URL alphabet', G, { send: (m) => ({ headers: [url(m)] }) })
frigadeCase('header, URL alphabet with padding', G, { send: (m) => ({ headers: [url(m) + '='] }) })
frigadeCase('member, hex', G, { send: (m) => ({ headers: [], body: withMember(hex(m)) }) })
frigadeCase('member, base64', G, { send: (m) => ({ headers: [], body: withMember(b64(m)) }) })
frigadeCase('member is right, header is wrong', G, { send: (m) => ({ headers: [zeros], body: withMember(b64(m)) }) })
frigadeCase('header is right, member is wrong', G, { send: (m) => ({ headers: [b64(m)], body: withMember('x') }) })
frigadeCase('sent with white space', G, { sent: JSON.stringify(JSON.parse(G), null, '\t') })
frigadeCase('step ids that are indices', swap(G, '"id"', '"10":{"a":1},"9":{"2":0,"1":0},"id"'))
frigadeCase('payload', G, payload)
frigadeCase('payload with a member that is part of it', withMember('x'), payload)
frigadeCase('an empty data may not be, an empty data.data may', swap(G, '"userId"', '"data":{},"userId"'))
frigadeCase('no foreignUserId', swap(G, '"foreignUserId":"u1",', ''))
frigadeCase('an empty foreignUserId', swap(G, '"u1"', '""'))
frigadeCase('no actionType', swap(G, '"actionType":"COMPLETED_STEP",', ''))
frigadeCase('no actionType, another event', swap(G, '"actionType":"COMPLETED_STEP",', '', 'completedStep', 'startedStep'))
frigadeCase('actionType is null', swap(G, '"COMPLETED_STEP"', 'null'))
frigadeCase('NOT_STARTED_FLOW', swap(G, 'COMPLETED_STEP', 'NOT_STARTED_FLOW', 'completedStep', 'notStartedFlow'))
frigadeCase('older event name', swap(G, 'COMPLETED_STEP', 'ABORTED_FLOW', 'completedStep', 'abortedFlow'))
frigadeCase('a payload may contradict itself: all of it is signed', swap(G, 'completedStep', 'startedStep'), payload)

frigadeCase('no signature', G, { send: () => ({ headers: [] }), error: missing })
frigadeCase('a member that is no text', G, { send: (_, b) => ({ headers: [], body: swap(b, '{"type"', '{"signature":null,"type"') }), error: missing })
frigadeCase('a prefix', G, { send: (m) => ({ headers: ['sha256=' + hex(m)] }), error: malformed })
frigadeCase('a line break in the member', G, { send: (m) => ({ headers: [], body: withMember(b64(m).replace('=', '') + '\n') }), error: malformed })
frigadeCase("the page's sample signature, too short for SHA-256", G, { send: () => ({ headers: [], body: withMember('cabff19d9da06705f62c26c2a66154') }), error: malformed })
frigadeCase('two headers', G, { send: (m) => ({ headers: [b64(m), b64(m)] }), error: many })
frigadeCase('two headers and a right member', G, { send: (m) => ({ headers: [b64(m), zeros], body: withMember(b64(m)) }), error: many })
frigadeCase('neither is right', G, { send: () => ({ headers: [zeros], body: withMember('1'.repeat(64)) }), error: wrong })
frigadeCase('other data', G, { sent: swap(G, '"f1"', '"f2"'), error: wrong })
frigadeCase('the secret is not known', G, { secrets: ['other'], error: wrong })
frigadeCase('no secret', G, { secrets: [], error: wrong })
frigadeCase('an empty secret', G, { secrets: [''], error: wrong })
frigadeCase('a payload by the member', G, { ...payload, send: (m) => ({ headers: [], body: withMember(b64(m)) }), error: missing })
frigadeCase('data is signed, but payload is set', G, { set: 'payload', error: other })
frigadeCase('payload is signed, but data is set', G, { ...payload, set: 'data', error: other })
frigadeCase('signed data replayed as a payload', G, { set: 'payload', sent: JSON.stringify(JSON.parse(G).data), error: noData })
const inner = swap(G, '"userId":7', '"type":"a.b","time":"2026-01-02T03:04:05Z","data":{"x":1}')
frigadeCase('signed data that looks like a payload, replayed as one', inner, { sent: JSON.stringify(JSON.parse(inner).data), error: other })
frigadeCase('no data', '{"type":"a.b","time":"2026-01-02T03:04:05Z","data":null}', { error: noData })
frigadeCase('empty data', '{"type":"a.b","time":"2026-01-02T03:04:05Z","data":{}}', { error: noData })
frigadeCase('data that is text', '{"type":"a.b","time":"2026-01-02T03:04:05Z","data":"{}"}', { error: noData })
frigadeCase('data that is an array', '{"type":"a.b","time":"2026-01-02T03:04:05Z","data":[{}]}', { error: noData })

frigadeCase('another type', G, { sent: swap(G, 'completedStep', 'startedStep'), error: contradiction })
frigadeCase('a type without a dot', G, { sent: swap(G, 'flowResponse.completedStep', 'completedStep'), error: contradiction })
frigadeCase('a type that says more', G, { sent: swap(G, 'completedStep', 'completedStep.x'), error: contradiction })
frigadeCase('a type in another case', G, { sent: swap(G, 'completedStep', 'CompletedStep'), error: contradiction })

for (const first of ['evilEntity', 'FlowResponse', 'flowresponse', '', 'flowResponse.flowResponse']) {
  frigadeCase(`another first token: ${first}`, G, { sent: swap(G, 'flowResponse.', `${first}.`), error: contradiction })
}
frigadeCase('another first token without actionType', swap(G, '"actionType":"COMPLETED_STEP",', '', 'flowResponse.', 'user.'))
frigadeCase('another first token, all of it signed', swap(G, 'flowResponse.', 'user.'), payload)
for (const [member, variant] of [['data', 'DATA'], ['data', 'dAta'], ['type', 'Type'], ['time', 'TIME']]) {
  const more = swap(G, '{', `{"${variant}":${JSON.stringify(JSON.parse(G)[member])},`)
  frigadeCase(`${variant} beside ${member}`, G, { sent: more, error: contradiction })
  frigadeCase(`${variant} beside ${member}, escaped and behind it`, G, { sent: swap(G, '"userId":7}}', `"userId":7},"\\u00${variant.charCodeAt(0).toString(16)}${variant.slice(1)}":{}}`), error: contradiction })
  frigadeCase(`${variant} beside ${member}, all of it signed`, more, payload)
}
frigadeCase('a variant in data is signed', swap(G, '"actionType"', '"ACTIONTYPE":"X","actionType"'))
frigadeCase('names that are no variants', G, { sent: swap(G, '{', '{"data__x":1,"types":2,"tíme":3,"\u212a":4,') })

frigadeCase('no type', swap(G, '"type":"flowResponse.completedStep",', ''), { error: unreadable })
frigadeCase('an empty type', swap(G, 'flowResponse.completedStep', ''), { error: unreadable })
frigadeCase('a type that is an object', swap(G, '"flowResponse.completedStep"', '{}'), { error: unreadable })
frigadeCase('no time', swap(G, '"time":"2026-01-02T03:04:05.000Z",', ''), { error: unreadable })
frigadeCase('a time that is a number', swap(G, '"2026-01-02T03:04:05.000Z"', '1767323045'), { error: unreadable })
frigadeCase('a time with a comma', swap(G, '05.000Z', '05,000Z'), { error: unreadable })
frigadeCase('a time without a zone', swap(G, '05.000Z', '05'), { error: unreadable })
frigadeCase('an hour of one digit', swap(G, 'T03:04:05.000Z', 'T3:04:05.000Z'), { error: unreadable })
frigadeCase('a day that does not exist', swap(G, '2026-01-02T03:04:05.000Z', '2026-02-30T03:04:05.000Z'), { error: unreadable })
frigadeCase('a time in lower case', swap(G, '2026-01-02T03:04:05.000Z', '2026-01-02t03:04:05z'))
frigadeCase('a time in another zone', swap(G, '2026-01-02T03:04:05.000Z', '2026-01-02T05:04:05+02:00'))

frigadeCase('just not too old', swap(G, '2026-01-02T03:04:05.000Z', '2026-01-01T03:04:05Z'))
frigadeCase('too old', swap(G, '2026-01-02T03:04:05.000Z', '2026-01-01T03:04:04.9Z'), { error: stale })
frigadeCase('just not too far in the future', swap(G, '2026-01-02T03:04:05.000Z', '2026-01-02T03:09:05Z'))
frigadeCase('too far in the future', swap(G, '2026-01-02T03:04:05.000Z', '2026-01-02T03:09:05.1Z'), { error: future })
const old = swap(G, '"2026-01-02T03:04:04.900Z"', '"2026-01-01T03:04:04Z"')
frigadeCase('time renewed, createdAt is old', old, { error: stale })
frigadeCase('createdAt is old, and type taken away', old, { sent: swap(old, '"type":"flowResponse.completedStep",', ''), error: stale, untimed: unreadable })
frigadeCase('createdAt is old, and time taken away', old, { sent: swap(old, '"time":"2026-01-02T03:04:05.000Z",', ''), error: stale, untimed: unreadable })
frigadeCase('createdAt is old, but time alone is judged', old, { freshness: 'time' })
frigadeCase('createdAt is old, but time is signed', old, payload)
frigadeCase('createdAt is far ahead: a browser has it', swap(G, '"2026-01-02T03:04:04.900Z"', '"2036-01-01T03:04:04Z"'))
frigadeCase('createdAt is null', swap(G, '"2026-01-02T03:04:04.900Z"', 'null'))
frigadeCase('no createdAt', swap(G, '"createdAt":"2026-01-02T03:04:04.900Z",', ''))
frigadeCase('createdAt is no time', swap(G, '"2026-01-02T03:04:04.900Z"', '"yesterday"'), { error: unreadable })

// ---------------------------------------------------------------------------------------------
// The realistic samples, by every scheme, each received a second after it was sent.

const manifest = JSON.parse(readFileSync(here('samples/MANIFEST.json'), 'utf8'))
for (const { file } of manifest) {
  const body = readFileSync(here(file), 'utf8').trim()
  const parsed = JSON.parse(body)
  if (file.includes('/flock/')) {
    const hasTime = typeof parsed.timestamp === 'number'
    const at = new Date(((hasTime ? parsed.timestamp : unix) + 1) * 1000).toISOString()
    const more = hasTime ? {} : { error: unreadable }
    flockCase(`${file}, payload`, body, { file, at, ...more })
    if (hasTime) flockCase(`${file}, timestamp-data`, body, { ...td, file, at })
  } else {
    const at = new Date(Date.parse(parsed.time) + 1000).toISOString()
    const old = parsed.data.createdAt && Date.parse(parsed.data.createdAt) < Date.parse(at) - 86400e3
    frigadeCase(`${file}, data`, body, { file, at, ...(old ? { error: stale } : {}) })
    frigadeCase(`${file}, payload`, body, { ...payload, file, at })
  }
}

let differs = false
for (const [file, provider, vectors] of [['flock.json', 'flock', flock], ['frigade.json', 'frigade', frigade]]) {
  const written = JSON.stringify({ provider, vectors }, null, 1).replace(/[\u007f-\uffff]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0')) + '\n'
  if (process.argv.includes('--check')) {
    if (readFileSync(here(file), 'utf8') !== written) { differs = true; console.error(`${file} is not what make-vectors.mjs makes`) }
  } else writeFileSync(here(file), written)
}
process.exit(differs ? 1 : 0)
