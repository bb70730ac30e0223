// What the vendors' vectors share: JavaScript's own JSON.stringify and HMAC, which vouch for the code
// that is tested by sharing none of it.
import { createHash, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'

export const S = (text) => JSON.stringify(JSON.parse(text))
export const mac = (secret, text) => createHmac('sha256', secret).update(text, 'utf8').digest()
export const now = '2026-01-02T03:04:05Z'
export const unix = Date.parse(now) / 1000
export const right = 'right'

// swap returns text with the first `from` replaced, and fails where there is none.
export const swap = (text, ...pairs) => {
  for (let i = 0; i < pairs.length; i += 2) {
    if (!text.includes(pairs[i])) throw new Error(`${text} has no ${pairs[i]}`)
    text = text.replace(pairs[i], () => pairs[i + 1])
  }
  return text
}

export const text = (value) => (typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '')

// id is section 3 of the contract.
export const id = (endpoint, signed, name) =>
  createHash('sha256').update(endpoint).update('\0').update(signed, 'utf8')
    .update(name === undefined ? '' : '\0' + name, 'utf8').digest('hex').slice(0, 32)

// escaped is how a string stands in a canonical body, without its quotes.
export const escaped = (string) => JSON.stringify(string).slice(1, -1)

// The texts of the refusals.
export const wrong = 'signature wrong', malformed = 'signature undecodable', missing = 'signature missing', many = 'more than one signature header'
export const other = 'signature correct, but by a scheme that the endpoint does not accept'
export const unreadable = 'not readable as an event', contradiction = 'an unsigned field contradicts a signed one', stale = 'too old', future = 'too far in the future'
export const noData = 'the signed member is not an object or is empty'

// samples lists the realistic bodies of a vendor's folder; here is the URL of its vectors.mjs.
export const samples = (here) =>
  JSON.parse(readFileSync(new URL('../samples/MANIFEST.json', here), 'utf8'))
    .map(({ file }) => ({ file: `samples/${file}`, body: readFileSync(new URL(`../samples/${file}`, here), 'utf8').trim() }))

// A collection of deliveries to one preset. sign(body, secret, headers) returns the headers that the
// vendor sends, as its page computes them; claims(body, headers) what an accepted one says.
export const deliveries = (provider, sign, claims, { unsigned = {}, tolerance = '5m' } = {}) => {
  const vectors = []
  const add = (name, body, { secret = right, secrets = [secret], sent = body, change = (h) => h, given, error, at = now, set = {}, settings, claim = {}, also = {} } = {}) => {
    const headers = change(given ?? sign(body, secret, set))
    vectors.push({
      name, settings, tolerance, now: at, secrets, headers: Object.entries(headers).flatMap(([k, v]) => [v].flat().map((one) => [k, one])), body: sent,
      ...(error ? { error } : { claims: { secret: secrets.indexOf(secret), ...claims(sent, headers), ...claim }, unsigned: { ...unsigned, ...also } }),
    })
  }
  return { vectors, add }
}

// timeOf is how the envelope writes a time in seconds.
export const timeOf = (seconds) => new Date(seconds * 1000).toISOString().replace(/\.?0*Z$/, 'Z')
