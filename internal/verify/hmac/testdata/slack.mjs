// Slack: https://api.slack.com/authentication/verifying-requests-from-slack
import { contradiction, deliveries, future, id, mac, missing, now, stale, swap, text, timeOf, unix, unreadable, wrong } from '../../testdata/vectors.mjs'

const sign = (body, secret, { time = unix, form } = {}) => ({
  'Content-Type': form ? 'application/x-www-form-urlencoded' : 'application/json',
  'X-Slack-Request-Timestamp': String(time), 'X-Slack-Signature': 'v0=' + mac(secret, `v0:${time}:${body}`).toString('hex'),
})
const claims = (body, headers) => {
  const b = JSON.parse(body.startsWith('payload=') ? new URLSearchParams(body).get('payload') : body)
  return {
    scheme: 'payload', name: b.event?.type ?? b.type, userid: text(b.event?.user) || text(b.user?.id),
    time: timeOf(Number(headers['X-Slack-Request-Timestamp'])), id: id('hooks', b.event_id ?? `v0::${body}`),
  }
}
const { vectors, add } = deliveries('slack', sign, claims, { unsigned: { 'Content-Type': 'anything' } })
export { vectors }

const B = '{"token":"x","team_id":"T1","event":{"type":"app_mention","user":"U061F7AUR","text":"<@U0LAN0Z89> is it everything a river should be?","event_ts":"1355517523000005"},"type":"event_callback","event_id":"Ev08MFMKH6","event_time":1355517523}'
const page = 'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c'
add('an event', B)
add('the same event, tried again', B, { set: { time: unix + 60 } })
add('a person who is an object', '{"type":"event_callback","event_id":"Ev2","event":{"type":"user_change","user":{"id":"U1"}}}')
add('url_verification', '{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}')
add('an interaction', 'payload=' + encodeURIComponent('{"type":"block_actions","user":{"id":"U2"},"trigger_id":"1.2"}'), { set: { form: true } })
add("the page's example", page, {
  secret: '8f742231b10e8888abcd99yyyzzz85a5', at: '2018-07-12T18:36:58Z', error: unreadable,
  given: { 'X-Slack-Request-Timestamp': '1531420618', 'X-Slack-Signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503' },
})
add('nearly too old', B, { set: { time: unix - 300 } })
add('too old', B, { set: { time: unix - 301 }, error: stale })
add('from the future', B, { set: { time: unix + 301 }, error: future })
add('in milliseconds', B, { set: { time: unix * 1000 }, error: future })
add('a time in words', B, { set: { time: 'now' }, error: unreadable })
add('a time with the separator', B, { set: { time: `1:${unix}` }, error: unreadable })
add('a time with the separator, before a form', 'payload=%7B%22type%22%3A%22block_actions%22%7D', { set: { time: `1:${unix}`, form: true }, error: contradiction })
add('no time', B, { change: ({ 'X-Slack-Request-Timestamp': _, ...h }) => h, error: missing })
add('an empty time', B, { change: (h) => ({ ...h, 'X-Slack-Request-Timestamp': '' }), error: missing })
add('the time twice', B, { change: (h) => ({ ...h, 'X-Slack-Request-Timestamp': [`${unix}`, `${unix}`] }), error: missing })
add('another time', B, { change: (h) => ({ ...h, 'X-Slack-Request-Timestamp': `${unix + 1}` }), error: wrong })
add('no name', '{"event_id":"Ev1"}', { error: unreadable })
add('a name that is an object', '{"event_id":"Ev1","type":{}}', { error: unreadable })
add('another body', B, { sent: swap(B, 'river', 'lake'), error: wrong })
