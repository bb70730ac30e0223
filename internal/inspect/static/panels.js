import { byId, bytes, clock, copyButton, count, el, since, span } from './dom.js'
import { facts } from './detail.js'
import { tree } from './tree.js'

const cell = (text, kind = '') => el('td', { class: kind }, text)
const head = (...names) => el('thead', {}, el('tr', {}, ...names.map(([name, kind]) => el('th', { scope: 'col', class: kind ?? '' }, name))))

// judge says in a word how a consumer keeps up.
function judge(c) {
  if (c.paused) return ['paused', 'warn']
  if (c.maxAckPending > 0 && c.ackPending >= c.maxAckPending) return ['stuck: acknowledges nothing', 'bad']
  if (c.pending === 0) return [c.ackPending ? 'working on the last' : 'keeps up', 'good']
  if (c.push ? !c.bound : c.waiting === 0 && c.ackPending === 0) return [`${count(c.pending)} behind, nobody asks`, 'bad']
  return [`${count(c.pending)} behind`, 'warn']
}

// streamPanel shows the stream and its consumers.
export function streamPanel({ stream, consumers, moreConsumers, noConsumers, trouble }) {
  const box = byId('panel-stream')
  if (!stream) {
    box.replaceChildren(el('h2', {}, 'Stream'), el('p', { class: 'says' }, trouble || 'Waiting for NATS.'))
    return
  }
  const limit = (n, text) => n > 0 ? text(n) : 'no limit'
  const facets = facts([
    ['messages', stream.messages, count(stream.messages)],
    ['size', stream.bytes, `${bytes(stream.bytes)}, ${limit(stream.maxBytes, (n) => `of ${bytes(n)}`)}`],
    ['sequence', `${stream.first}–${stream.last}`, `${count(stream.first)} to ${count(stream.last)}`],
    ['oldest', stream.firstTime, stream.firstTime && `${clock(stream.firstTime)}, ${since(stream.firstTime)}`],
    ['newest', stream.lastTime, stream.lastTime && `${clock(stream.lastTime)}, ${since(stream.lastTime)}`],
    ['kept for', stream.maxAge, limit(stream.maxAge, span)],
    ['when full', stream.discard, stream.discard === 'DiscardNew' ? 'new events wait' : 'old events are dropped'],
    ['remembers ids', stream.duplicates, span(stream.duplicates)],
    ['storage', stream.storage, `${stream.storage}, ${stream.replicas === 1 ? 'one copy' : `${stream.replicas} copies`}`],
    ['leader', stream.leader],
    ['not current', stream.lagging.join(', ')],
    ['subjects', stream.subjects.join(', ')],
    ['made', stream.made, clock(stream.made)],
  ])
  facets.classList.add('columns')
  box.replaceChildren(
    el('h2', {}, `Stream ${stream.name}`), facets,
    el('h2', {}, 'Consumers'), noConsumers ? el('p', { class: 'says' }, noConsumers) : consumerTable(consumers, moreConsumers))
}

function consumerTable(consumers, more) {
  if (!consumers.length) return el('p', { class: 'says' }, 'This stream has no consumers. “Consume it” beside an event shows how to write one.')
  const rows = consumers.map((c) => {
    const [text, kind] = judge(c)
    return el('tr', {},
      el('td', { class: 'mono' }, c.name, c.durable ? '' : ' (ephemeral)'), cell(text, kind), cell(count(c.pending), 'n'), cell(count(c.ackPending), 'n'), cell(count(c.redelivered), 'n'),
      cell(c.lastActive ? since(c.lastActive) : 'never', 'n'), cell((c.subjects ?? ['all']).join(', ') || 'all', 'mono'))
  })
  return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Consumers' }, el('table', {},
    head(['Consumer'], ['How it goes'], ['Not delivered', 'n'], ['Not acknowledged', 'n'], ['Delivered again', 'n'], ['Last delivery', 'n'], ['Subjects']),
    el('tbody', {}, ...rows)), more ? el('p', { class: 'says' }, `And ${count(more)} more.`) : undefined)
}

let listed = '' // of the quarantine, so that what is open stays open

// quarantinePanel shows what is in quarantine.
export function quarantinePanel({ quarantine, kept, noKept }, { command }) {
  const box = byId('panel-quarantine')
  const now = JSON.stringify([kept, noKept, quarantine?.messages])
  if (now === listed) return
  listed = now
  const rows = (kept ?? []).flatMap((k) => {
    const place = el('tr', { hidden: true })
    const verb = el('span', {}, 'Show')
    const button = el('button', { type: 'button', 'aria-expanded': 'false' }, verb, el('span', { class: 'hidden' }, ` the body of ${k.id}`))
    button.addEventListener('click', async () => {
      const open = place.hidden
      place.hidden = !open
      verb.textContent = open ? 'Hide' : 'Show'
      button.setAttribute('aria-expanded', open)
      if (open && !place.childElementCount) place.append(el('td', { colspan: '6' }, await keptBody(k, command)))
    })
    return [el('tr', {}, el('td', {}, button), cell(clock(k.received), 'mono'), cell(k.reason, 'warn'), cell(k.endpoint), cell(bytes(k.size), 'n'), cell(k.id, 'mono')), place]
  })
  box.replaceChildren(
    el('h2', {}, 'Quarantine'),
    el('p', { class: 'says' }, 'Deliveries with a correct signature that could not be published. This page only reads: use the commands beside each to release or drop it.'),
    noKept ? el('p', { class: 'says' }, noKept) : rows.length
      ? el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'In quarantine' }, el('table', {},
        head(['Body'], ['Received'], ['Kept as'], ['Endpoint'], ['Size', 'n'], ['Id']), el('tbody', {}, ...rows)),
      quarantine && quarantine.messages > kept.length ? el('p', { class: 'says' }, `The newest ${count(kept.length)} of ${count(quarantine.messages)}. ${command} quarantine list shows all.`) : undefined)
      : el('p', { class: 'says' }, 'The quarantine is empty.'))
}

async function keptBody(k, command) {
  const box = el('div', { class: 'body' })
  const answer = await fetch(`/api/quarantine?sequence=${k.sequence}`).catch(() => undefined)
  if (!answer?.ok) {
    box.append(el('p', { class: 'says' }, answer ? await answer.text() : 'bridge inspect doesn’t answer.'))
    return box
  }
  const { text, binary } = await answer.json()
  const commands = ['release', 'drop'].map((name) => copyButton(`bridge quarantine ${name} ${k.id.slice(0, 8)}`, '', () => `${command} quarantine ${name} ${k.id}`))
  box.append(el('div', { class: 'bar' }, ...commands, copyButton('Copy the body', '', () => text)))
  if (binary) box.append(el('p', { class: 'says' }, 'The body isn’t UTF-8: invalid bytes are replaced.'))
  try {
    box.append(tree(JSON.parse(text)))
  } catch {
    box.append(el('pre', {}, text))
  }
  return box
}
