// Flock's vectors: deliveries as its page signs them, and what must become of each.
import { S, contradiction, escaped, future, id, mac, malformed, many, missing, now, other, right, samples, stale, swap, text, unix, unreadable, wrong } from '../../testdata/vectors.mjs'

const signedBy = (scheme, body) => {
  if (scheme === 'payload') return S(body)
  const { timestamp, data } = JSON.parse(body)
  return JSON.stringify(timestamp) + JSON.stringify(data)
}

// nameOf is the name where it is a part of the id.
const nameOf = (scheme, body) => (scheme === 'payload' ? undefined : escaped(JSON.parse(body).name))

const claims = (scheme, body) => {
  const b = JSON.parse(body)
  const person = ['invitee', 'referrer'].includes(b.entity) ? text(b.data?.[b.entity]?.id) : ''
  return {
    scheme, secret: 0, name: b.name, entity: text(b.entity), entityid: text(b.entityId), userid: person,
    time: new Date(b.timestamp * 1000).toISOString().replace(/\.?0*Z$/, 'Z'),
    id: id('flock', signedBy(scheme, body), nameOf(scheme, body)),
  }
}

// What a holder of the delivery can change without the secret: by member, what that changes. `*` is
// any other member. See the test for the words.
const unsigned = { payload: {}, 'timestamp-data': { name: 'another event', '*': 'nothing' } }

export const vectors = []
const add = (name, signed, { by = 'payload', set = 'auto', sent = signed, text, says, header = (h) => [h], error, untimed, secrets = [right], at = now, tolerance = '5m', file } = {}) => {
  const signature = mac(right, text ?? signedBy(by, signed)).toString('hex')
  vectors.push({
    name, scheme: set, tolerance, now: at, secrets,
    headers: header(signature).map((h) => ['X-Flock-Signature', h]),
    ...(file ? { file } : { body: sent }),
    ...(text ? { assent: true } : {}),
    ...(error ? { error, untimed } : { claims: { ...claims(by, sent), ...(text ? { id: id('flock', text, nameOf(by, sent)) } : {}), ...says, secret: secrets.indexOf(right) }, unsigned: unsigned[by] }),
  })
}

const F = `{"name":"invitee.accepted","entity":"invitee","entityId":"i1","data":{"referrer":{"id":"r1"},"invitee":{"id":"i1"}},"timestamp":${unix}}`
const td = { by: 'timestamp-data' }

add('payload: the code of the page', F)
add('timestamp-data: the prose of the page', F, td)
add('payload alone allowed', F, { set: 'payload' })
add('timestamp-data alone allowed', F, { ...td, set: 'timestamp-data' })
add('payload, but only timestamp-data is allowed', F, { set: 'timestamp-data', error: other })
add('timestamp-data, but only payload is allowed', F, { ...td, set: 'payload', error: other })
add('hex in upper case', F, { header: (h) => [h.toUpperCase()] })
add('an older secret', F, { secrets: ['current', right, 'oldest'] })
add('sent with white space', F, { sent: JSON.stringify(JSON.parse(F), null, 2) })
add('sent with escapes', F, { sent: swap(F, 'accepted', '\\u0061ccepted', '1767', '1767') })
add('members that are indices', swap(F, '"timestamp"', '"10":1,"9":{"2":0,"1":0},"timestamp"'))
add('lone surrogates', swap(F, '"r1"', '"r1\\ud800","x":"\\udfff\\ud83d"'))
add('numbers that print in another way', swap(F, '"r1"', '"r1","n":[1.0,1e2,1e21,1e-7,-0,12345678901234567890]'))
add('numbers that print in another way, timestamp-data', swap(F, '"r1"', '"r1","n":[1.0,1e2,1e21,1e-7,-0,12345678901234567890]', `${unix}}`, `${unix}.0}`), td)
add('a fraction of a second', swap(F, `${unix}}`, `${unix}.25}`))
add('no data', `{"name":"a.b","timestamp":${unix}}`)
add('an event that nobody knows', swap(F, 'invitee.accepted', 'referral.flagged.later'))
add('ids that are numbers', swap(F, '"entityId":"i1"', '"entityId":7', '"invitee":{"id":"i1"}', '"invitee":{"id":7}'), td)
add('a campaign', `{"name":"campaign.launched","entity":"campaign","entityId":"c1","data":{"campaignId":"c1"},"timestamp":${unix}}`, td)
add('a payload may contradict itself: all of it is signed', swap(F, 'invitee.accepted', 'referrer.visited'))

add('no header', F, { header: () => [], error: missing })
add('an empty header', F, { header: () => [''], error: missing })
add('the same header twice: a proxy has doubled it', F, { header: (h) => [h, h] })
add('two headers that differ', F, { header: (h) => [h, h.toUpperCase()], error: many })
add('two signatures in one header', F, { header: (h) => [`${h},${h}`], error: malformed })
add('a prefix', F, { header: (h) => [`sha256=${h}`], error: malformed })
add('not hex', F, { header: (h) => ['g' + h.slice(1)], error: malformed })
add('cut', F, { header: (h) => [h.slice(2)], error: malformed })
add('base64', F, { header: (h) => [Buffer.from(h, 'hex').toString('base64')], error: malformed })
add("the page's sample signature, too short for SHA-256", F, { header: () => ['abcdef1234567890abcdef1234567890abcdef1234567890'], error: malformed })
add('other body', F, { sent: swap(F, 'r1', 'r2'), error: wrong })
add('other data', F, { ...td, sent: swap(F, 'r1', 'r2'), error: wrong })
add('other timestamp', F, { ...td, sent: swap(F, `${unix}`, `${unix + 1}`), error: wrong })
add('timestamp taken away', F, { ...td, sent: swap(F, `,"timestamp":${unix}`, ''), error: wrong })
add('the secret is not known', F, { secrets: ['other'], error: wrong })
add('no secret', F, { secrets: [], error: wrong })
add('an empty secret', F, { secrets: [''], error: wrong })

add('a name of another entity', F, { ...td, sent: swap(F, 'invitee.accepted', 'referrer.accepted'), error: contradiction })
add('another entity', F, { ...td, sent: swap(F, '"entity":"invitee"', '"entity":"referrer"'), error: contradiction })
add('another entity and name', F, { ...td, sent: swap(F, '"entity":"invitee"', '"entity":"referrer"', 'invitee.accepted', 'referrer.rewarded'), error: contradiction })
add('no entity', F, { ...td, sent: swap(F, '"entity":"invitee",', ''), error: contradiction })
add('another entityId', F, { ...td, sent: swap(F, '"entityId":"i1"', '"entityId":"i2"'), error: contradiction })
add('entityId of another type', swap(F, '"i1"', '"7"', '"i1"', '"7"'), { ...td, sent: swap(F, '"i1"', '7', '"i1"', '"7"'), error: contradiction })
add('no entityId', F, { ...td, sent: swap(F, '"entityId":"i1",', ''), error: contradiction })
add('name and entity that data does not have', F, { ...td, sent: swap(F, '"invitee.accepted"', '"campaign.launched"', '"entity":"invitee"', '"entity":"campaign"') })

for (const [member, variant] of [['data', 'DATA'], ['data', 'Data'], ['timestamp', 'timeſtamp'], ['name', 'Name'], ['entityId', 'entityid'], ['entity', 'ENTITY']]) {
  const more = (body) => swap(body, '{', `{"${variant}":${JSON.stringify(JSON.parse(body)[member])},`)
  add(`${variant} beside ${member}`, F, { ...td, sent: more(F), error: contradiction })
  add(`${variant} beside ${member}, behind it`, F, { ...td, sent: swap(F, `${unix}}`, `${unix},"${variant}":{}}`), error: contradiction })
  add(`${variant} beside ${member}, all of it signed`, more(F))
}
add('a variant in data is signed', swap(F, '"invitee":{', '"INVITEE":{"id":"i2"},"invitee":{'), td)
add('names that are no variants', F, { ...td, sent: swap(F, '{', '{"data_":1,"dat":2,"dáta":3,"names":4,"K":5,') })

add('no name', swap(F, '"name":"invitee.accepted",', ''), { error: unreadable })
add('an empty name', swap(F, 'invitee.accepted', ''), { error: unreadable })
add('a name that is a number', swap(F, '"invitee.accepted"', '5'), { error: unreadable })
add('name taken away', F, { ...td, sent: swap(F, '"name":"invitee.accepted",', ''), error: unreadable })
add('name taken away, DATA beside data', F, { ...td, sent: swap(F, '"name":"invitee.accepted"', '"DATA":{}'), error: contradiction })
add('name taken away, another entityId', F, { ...td, sent: swap(F, '"name":"invitee.accepted",', '', '"entityId":"i1"', '"entityId":"i2"'), error: contradiction })
add('name and entity taken away', F, { ...td, sent: swap(F, '"name":"invitee.accepted","entity":"invitee",', ''), error: unreadable })
add('too old, and its name taken away', swap(F, `${unix}`, `${unix - 300.5}`), { ...td, sent: swap(F, '"name":"invitee.accepted",', '', `${unix}`, `${unix - 300.5}`), error: stale, untimed: unreadable })
add('no timestamp: the sample code accepts it', swap(F, `,"timestamp":${unix}`, ''), { error: unreadable })
add('a timestamp that is text: the sample code accepts it', swap(F, `${unix}`, '"now"'), { error: unreadable })
add('a timestamp that is text, timestamp-data', swap(F, `${unix}`, `"${unix}"`), { ...td, error: unreadable })
add('a timestamp that is null', swap(F, `${unix}`, 'null'), { error: unreadable })
add('a timestamp past the doubles', swap(F, `${unix}`, '1e999'), { error: unreadable })
add('a timestamp that is an object', swap(F, `${unix}`, '{}'), { ...td, error: wrong })
add('data that is no object', swap(F, '{"referrer":{"id":"r1"},"invitee":{"id":"i1"}}', '[]'), { ...td, error: wrong })

add('just not too old', swap(F, `${unix}`, `${unix - 300}`))
add('too old', swap(F, `${unix}`, `${unix - 300.5}`), { error: stale })
add('just not too far in the future', swap(F, `${unix}`, `${unix + 300}`))
add('too far in the future', swap(F, `${unix}`, `${unix + 300.5}`), { error: future })
add('milliseconds', swap(F, `${unix}`, `${unix}000`), { error: future })
add('the greatest double', swap(F, `${unix}`, '1.7976931348623157e308'), { error: future })
add('the least double', swap(F, `${unix}`, '-1.7976931348623157e308'), { error: stale })

// What senders in other languages sign: the bytes that they send. text is what was signed.
const asSent = (name, sent, more) => add(`as sent: ${name}`, F, { sent, text: sent, ...more })
const big = '9007199254740993', near = '9007199254740992' // one double
const bigIDs = F.replaceAll('"i1"', big), nearID = swap(bigIDs, `"entityId":${big}`, `"entityId":${near}`)
asSent('escapes', swap(F, 'accepted', '\\u0061ccepted', '"r1"', '"a\\u0026b\\/c"'))
asSent('white space', JSON.stringify(JSON.parse(F), null, 2))
asSent('a line break at the end', F + '\n')
asSent('numbers', swap(F, '"r1"', '"r1","n":[10.0,1E2,0.10]', `${unix}}`, `${unix}.0}`))
asSent('numbers past the doubles', bigIDs, { says: { entityid: big, userid: big } })
asSent('an entity past the doubles', swap(F, '"entity":"invitee"', `"entity":${big}`), { says: { entity: big } })
asSent('payload alone allowed', F + ' ', { set: 'payload' })
asSent('only timestamp-data is allowed', F + ' ', { set: 'timestamp-data', error: other })
asSent('then formatted on the way', JSON.stringify(JSON.parse(F), null, 2), { sent: JSON.stringify(JSON.parse(F), null, 3), error: wrong })
asSent('another number that is the same double', bigIDs, { sent: nearID, error: wrong })
const spaced = `{ "name": "invitee.accepted", "entity": "invitee", "entityId": ${big}, "data": {"invitee": { "id": ${big} }, "n": 1.50} , "timestamp": ${unix}.0 }`
const parts = { ...td, text: `${unix}.0{"invitee": { "id": ${big} }, "n": 1.50}`, says: { entityid: big, userid: big } }
asSent('timestamp-data', spaced, parts)
asSent('timestamp-data, with other white space around', swap(spaced, '} ,', '},\n'), parts)
asSent('timestamp-data, with escapes in what is unsigned', swap(spaced, '"name"', '"n\\u0061me"', ': "invitee"', ': "\\u0069nvitee"'), parts)
const escapedID = swap(spaced, big, '"i1"', big, '"i\\u0031"')
asSent('timestamp-data, the two ids escaped differently', escapedID, { ...td, text: `${unix}.0{"invitee": { "id": "i\\u0031" }, "n": 1.50}` })
asSent('timestamp-data, other white space in data', swap(spaced, '"n": ', '"n":'), { ...parts, error: wrong })
asSent('timestamp-data, another entityId that is the same double', swap(spaced, `"entityId": ${big}`, `"entityId": ${near}`), { ...parts, error: contradiction })
asSent('timestamp-data, entityId by an escaped name', swap(spaced, `"entityId": ${big}`, `"\\u0065ntityId": ${near}`), { ...parts, error: contradiction })

// The realistic samples, by both schemes, each received a second after it was sent.
for (const { file, body } of samples(import.meta.url)) {
  const parsed = JSON.parse(body)
  const hasTime = typeof parsed.timestamp === 'number'
  const at = new Date(((hasTime ? parsed.timestamp : unix) + 1) * 1000).toISOString()
  const more = hasTime ? {} : { error: unreadable }
  add(`${file}, payload`, body, { file, at, ...more })
  if (hasTime) add(`${file}, timestamp-data`, body, { ...td, file, at })
}
