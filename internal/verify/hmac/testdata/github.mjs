// GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
import { deliveries, id, mac, malformed, many, missing, now, swap, text, unreadable, wrong } from '../../testdata/vectors.mjs'

const sign = (body, secret, { event = 'issues' } = {}) => ({
  'Content-Type': 'application/json', 'X-GitHub-Event': event, 'X-GitHub-Delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
  'X-Hub-Signature-256': 'sha256=' + mac(secret, body).toString('hex'),
})
const claims = (body, headers) => {
  const b = JSON.parse(headers['Content-Type'].includes('form') ? new URLSearchParams(body).get('payload') : body)
  return { scheme: 'body', name: headers['X-GitHub-Event'], userid: text(b.sender?.id), time: '', id: id('hooks', body) }
}
const { vectors, add } = deliveries('github', sign, claims, { unsigned: { 'X-GitHub-Event': 'the name', 'X-GitHub-Delivery': 'nothing', 'Content-Type': 'anything' } })
export { vectors }

const B = '{"action":"opened","issue":{"number":1347,"title":"Found a bug \\u0026 more"},"repository":{"id":1296269},"sender":{"login":"octocat","id":1}}'
add('an issue', B)
add('a name with a full stop', B, { set: { event: 'check_run.completed' } })
add('ping', '{"zen":"Anything added dilutes everything else.","hook_id":109948940}', { set: { event: 'ping' } })
add('numbers past the doubles and white space', '{ "n" : 9007199254740993,\n "f": 1.0e0, "sender": {"id": 9007199254740993} }', { claim: { userid: '9007199254740993' } })
add('a form', 'payload=' + encodeURIComponent(B).replace(/%20/g, '+'), { change: (h) => ({ ...h, 'Content-Type': 'application/x-www-form-urlencoded' }) })
add('an older secret', B, { secrets: ['current', 'right'] })
add("the page's example", 'Hello, World!', {
  secret: "It's a Secret to Everybody", error: unreadable,
  given: { 'X-Hub-Signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17' },
})
add('upper case hex', B, { change: (h) => ({ ...h, 'X-Hub-Signature-256': h['X-Hub-Signature-256'].toUpperCase().replace('SHA', 'sha') }) })
add('no name', B, { change: ({ 'X-GitHub-Event': _, ...h }) => h, error: unreadable })
add('two names', B, { change: (h) => ({ ...h, 'X-GitHub-Event': ['issues', 'push'] }), error: unreadable })
add('the old header alone', B, { change: (h) => ({ 'X-Hub-Signature': h['X-Hub-Signature-256'] }), error: missing })
add('no signature', B, { change: ({ 'X-Hub-Signature-256': _, ...h }) => h, error: missing })
add('an empty signature', B, { change: (h) => ({ ...h, 'X-Hub-Signature-256': '' }), error: missing })
add('two different headers', B, { change: (h) => ({ ...h, 'X-Hub-Signature-256': [h['X-Hub-Signature-256'], 'sha256=00'] }), error: many })
add('the same header twice', B, { change: (h) => ({ ...h, 'X-Hub-Signature-256': [h['X-Hub-Signature-256'], h['X-Hub-Signature-256']] }) })
add('no prefix', B, { change: (h) => ({ ...h, 'X-Hub-Signature-256': h['X-Hub-Signature-256'].slice(7) }), error: malformed })
add('another prefix', B, { change: (h) => ({ ...h, 'X-Hub-Signature-256': 'sha1=' + h['X-Hub-Signature-256'].slice(7) }), error: malformed })
add('cut', B, { change: (h) => ({ ...h, 'X-Hub-Signature-256': h['X-Hub-Signature-256'].slice(0, -2) }), error: malformed })
add('another body', B, { sent: swap(B, '1347', '1348'), error: wrong })
add('a blank more', B, { sent: B + ' ', error: wrong })
add('another secret', B, { secrets: ['other'], error: wrong })
