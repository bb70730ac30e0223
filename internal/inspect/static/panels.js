import { ago, byId, bytes, clock, commandLine, copyButton, count, el, morph, span } from './dom.js'
import { facts } from './detail.js'
import { growth } from './lag.js'
import { tree } from './tree.js'

const cell = (label, text, kind = '') => el('td', { class: kind, data: { label } }, text)
const head = (names) => el('thead', {}, el('tr', {}, ...names.map(([name, kind = '']) => el('th', { scope: 'col', class: kind }, name))))
const table = (label, names, rows) => el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label },
  el('table', {}, head(names), el('tbody', {}, ...rows)))
const hint = (...text) => el('p', { class: 'hint' }, ...text)

// rate formats a number of messages per second.
const rate = (n) => n >= 10 ? count(Math.round(n)) : n.toFixed(1)

// judge returns a consumer's state in words, and its severity.
function judge(c) {
  const { max_ack_pending: maxPending, deliver_subject: deliverSubject } = c.config
  if (c.paused) return ['paused', 'warn']
  if (maxPending > 0 && c.num_ack_pending >= maxPending) return ['stuck: nothing is acknowledged', 'bad']
  if (c.num_pending === 0) return [c.num_ack_pending ? 'handling the last messages' : 'keeps up', 'good']
  if (deliverSubject ? !c.push_bound : c.num_waiting === 0 && c.num_ack_pending === 0) return ['behind: no client asks for more', 'bad']
  if (growth(c) > 0) return [`falling behind, ${rate(growth(c))} a second`, 'bad']
  return ['behind', 'warn']
}

// streamPanel shows the stream, its consumers and their dead letters.
export function streamPanel(state) {
  const fresh = el('div', {}, ...streamParts(state))
  const box = byId('panel-stream')
  if (box.firstElementChild) morph(box.firstElementChild, fresh)
  else box.append(fresh)
}

function streamParts({ connected, stream, consumers, moreConsumers, consumersProblem, dead, eventsProblem }) {
  if (!stream) return [el('h2', {}, 'Stream'), hint(eventsProblem || (connected ? 'Waiting for the stream.' : 'Waiting for NATS.'))]
  const { config, state: held, cluster } = stream
  const limit = (n, text) => n > 0 ? text(n) : 'no limit'
  const time = (text) => text ? [text, `${clock(text)}, `, ago(text)] : []
  const nanoseconds = (n) => span(n / 1e9)
  const facets = facts([
    ['messages', held.messages, count(held.messages)],
    ['size', held.bytes, `${bytes(held.bytes)}, ${limit(config.max_bytes, (n) => `of ${bytes(n)}`)}`],
    ['sequence', `${held.first_seq}–${held.last_seq}`, `${count(held.first_seq)} to ${count(held.last_seq)}`],
    ['oldest', ...time(held.messages && held.first_ts)],
    ['newest', ...time(held.messages && held.last_ts)],
    ['kept for', config.max_age / 1e9, limit(config.max_age, nanoseconds)],
    ['when full', config.discard, config.discard === 'new' ? 'new events wait' : 'old events are dropped'],
    ['duplicate window', config.duplicate_window / 1e9, nanoseconds(config.duplicate_window)],
    ['storage', config.storage, `${config.storage}, ${config.num_replicas === 1 ? 'one copy' : `${config.num_replicas} copies`}`],
    ['leader', cluster?.leader],
    ['copies behind', (cluster?.replicas ?? []).filter(({ current, offline }) => !current || offline).map(({ name }) => name).join(', ')],
    ['subjects', config.subjects.join(', ')],
    ['created', ...time(stream.created)],
  ])
  facets.classList.add('columns')
  return [
    el('h2', {}, `Stream ${config.name}`), facets,
    ...dead ? deadLetters(dead) : [],
    el('h2', {}, 'Consumers'), consumersProblem ? hint(consumersProblem) : consumerTable(consumers, moreConsumers),
  ]
}

const consumerColumns = [
  ['Consumer'], ['State'], ['Not delivered', 'n'], ['Not acknowledged', 'n'], ['Delivered again', 'n'], ['Last delivery', 'n'],
  ['Subjects'],
]
const severity = ['bad', 'warn', 'good']

// consumerTable lists the consumers, those in trouble first.
function consumerTable(consumers, more) {
  if (!consumers.length) return hint('This stream has no consumers. “Consume it”, beside an event, shows how to make one.')
  const judged = consumers.map((c) => [c, ...judge(c)]).sort(([a, , kindA], [b, , kindB]) =>
    severity.indexOf(kindA) - severity.indexOf(kindB) || (a.name < b.name ? -1 : 1))
  const rows = judged.map(([c, text, kind]) => el('tr', {},
    el('th', { scope: 'row', class: 'mono' }, c.name, c.config.durable_name ? '' : ' (ephemeral)'), ...[
    [text, kind], [count(c.num_pending), 'n'], [count(c.num_ack_pending), 'n'], [count(c.num_redelivered), 'n'], [lastDelivery(c), 'n'],
    [c.config.filter_subject || (c.config.filter_subjects ?? []).join(', ') || 'all', 'mono'],
  ].map(([value, kind], i) => cell(consumerColumns[i + 1][0], value, kind))))
  const bad = judged.filter(([, , kind]) => kind === 'bad').length
  const growing = consumers.filter((c) => growth(c) > 0).map((c) => c.name)
  const others = growing.length > 3 ? ` and ${count(growing.length - 3)} more` : ''
  return el('div', {},
    consumers.length > 1 ? hint(`${count(consumers.length + more)} consumers, ${bad ? `${count(bad)} in trouble` : 'none in trouble'}.`,
      growing.length ? ` Falling further behind: ${growing.slice(0, 3).join(', ')}${others}.` : '') : '',
    table('Consumers', consumerColumns, rows),
    more ? hint(`And ${count(more)} more, with smaller backlogs.`) : '')
}

function lastDelivery(c) {
  if (c.delivered.last_active) return ago(c.delivered.last_active)
  return c.delivered.consumer_seq ? el('span', { title: 'NATS has restarted since, and no longer knows.' }, '–') : 'never'
}

function deadLetters({ stream, messages, sequence, time, subject, reason }) {
  return [
    el('h2', {}, 'Dead letters'),
    hint(`${count(messages)} in ${stream}, put aside by consumers. The last one: `, ago(time),
      subject ? `, ${subject}: ${reason || 'no reason is given'}` : '; it can’t be read.'),
    commandLine(`nats stream get ${stream} ${sequence}`, 'Prints the last dead letter.'),
  ]
}

const open = new Map() // by delivery: its rows
let shown = '' // the state that is shown

// quarantinePanel shows the deliveries in quarantine. Those that are open stay open.
export function quarantinePanel({ connected, quarantine, deliveries, quarantineProblem }, { command }) {
  const list = deliveries ?? []
  const now = JSON.stringify([connected, list, quarantineProblem, quarantine?.state.messages, quarantine?.state.bytes, quarantine?.config.max_bytes])
  if (now === shown) return
  shown = now
  const keyOf = (d) => `${d.sequence} ${d.id}` // a stream that was created again counts from 1
  const keys = new Set(list.map(keyOf))
  for (const key of open.keys()) if (!keys.has(key)) open.delete(key)
  const rows = list.flatMap((d) => {
    if (!open.has(keyOf(d))) open.set(keyOf(d), deliveryRows(d, command))
    return open.get(keyOf(d))
  })
  const box = byId('panel-quarantine')
  const focused = document.activeElement
  box.replaceChildren(
    el('h2', {}, 'Quarantine'),
    hint('Deliveries with a correct signature that could not be published. ' +
      '“Show” has the commands that publish or delete one; this page changes nothing.'),
    fill(quarantine),
    rows.length ? table('In quarantine', [['Body'], ['Received'], ['Reason'], ['Endpoint'], ['Size', 'n'], ['Id']], rows)
      : hint(quarantineProblem ||
        (quarantine ? 'The quarantine is empty.' : connected ? 'Waiting for the quarantine’s stream.' : 'Waiting for NATS.')),
    quarantine?.state.messages > list.length && list.length
      ? hint(`The newest ${count(list.length)} of ${count(quarantine.state.messages)}. “bridge quarantine list” prints all.`) : '')
  if (box.contains(focused)) focused.focus({ preventScroll: true })
}

// fill shows how full the quarantine is.
function fill(quarantine) {
  const [used, max] = [quarantine?.state.bytes, quarantine?.config.max_bytes]
  if (!(max > 0)) return ''
  const percent = Math.floor(100 * used / max)
  return el('p', { class: percent >= 90 ? 'hint warn' : 'hint' }, `It uses ${bytes(used)} of ${bytes(max)}.`, percent >= 90
    ? ` That is ${percent}%: a new delivery that doesn’t fit pushes out the oldest. Release or drop some, or raise QUARANTINE_MAX_BYTES.` : '')
}

function deliveryRows(d, command) {
  const place = el('tr', { hidden: true })
  const verb = el('span', {}, 'Show')
  const button = el('button', { type: 'button', 'aria-expanded': 'false' }, verb, el('span', { class: 'hidden' }, ` the body of ${d.id}`))
  button.addEventListener('click', async () => {
    const opens = place.hidden
    place.hidden = !opens
    verb.textContent = opens ? 'Hide' : 'Show'
    button.setAttribute('aria-expanded', opens)
    if (opens && !place.childElementCount) place.append(el('td', { colspan: '6' }, await deliveryBody(d, command)))
  })
  const cells = [
    cell('Received', ago(d.received)), cell('Reason', d.reason, 'warn'), cell('Endpoint', d.endpoint),
    cell('Size', bytes(d.bytes), 'n'), cell('Id', d.id, 'mono'),
  ]
  return [el('tr', {}, el('td', {}, button), ...cells), place]
}

async function deliveryBody(d, command) {
  const box = el('div', { class: 'body' })
  box.append(
    commandLine(`${command} quarantine release ${d.id}`,
      'Verifies the delivery again, without the time check, and publishes it. Needs the endpoint’s secrets in the environment.'),
    commandLine(`${command} quarantine drop ${d.id}`, 'Deletes the delivery for good.'))
  const answer = await fetch(`/api/quarantine?${new URLSearchParams({ sequence: d.sequence, id: d.id })}`).catch(() => undefined)
  if (!answer?.ok) {
    box.append(hint(answer ? await answer.text() : 'bridge inspect doesn’t answer.'))
    return box
  }
  const text = await answer.text()
  const title = el('h3', {}, 'Body as received ', clock(d.received))
  box.append(el('div', { class: 'bar' }, title, el('span', { class: 'grow' }), copyButton('Copy body', '', () => text)))
  if (text.includes('\uFFFD')) box.append(hint('Bytes that aren’t UTF-8 are shown as \uFFFD.'))
  try {
    box.append(tree(JSON.parse(text)))
  } catch {
    box.append(el('pre', {}, text))
  }
  return box
}
