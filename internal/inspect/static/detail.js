import { ago, breakable, byId, bytes, clock, copyButton, count, el } from './dom.js'
import { snippets } from './snippets.js'
import { tree } from './tree.js'

const kinds = [['event', 'Event'], ['raw', 'Raw'], ['use', 'Consume it']]
let kind = 'event' // the view that is open, also for the next event

// detail shows one event. about is the server's hello message.
export function detail(item, about, onBack) {
  const box = byId('detail')
  if (!item) {
    box.replaceChildren(el('p', { class: 'nothing' }, 'Choose an event to see all of it.'))
    return
  }
  const { event } = item
  const body = el('div', { id: 'detail-body', role: 'tabpanel' })
  const tabs = kinds.map(([name, label]) => el('button', {
    type: 'button', role: 'tab', id: `detail-${name}`, 'aria-controls': 'detail-body', onclick: () => show(name),
  }, label))
  const show = (name) => {
    kind = name
    selectTab(tabs, tabs[kinds.findIndex(([known]) => known === name)])
    body.setAttribute('aria-labelledby', `detail-${name}`)
    const views = { event: () => whole(item), raw: () => raw(item), use: () => snippets(item.subject, about) }
    body.replaceChildren(views[name]())
  }
  arrows(tabs)
  box.replaceChildren(
    el('div', { class: 'title' },
      el('button', { id: 'back', type: 'button', onclick: onBack }, '← Events'),
      el('h2', {}, ...breakable(event?.event ?? 'Not one of the bridge’s events')),
      copyButton('Copy', 'the event', () => item.payload)),
    el('p', { class: 'where' }, ...breakable(item.subject)),
    ...event ? [] : [el('p', { class: 'hint' }, item.problem)],
    el('div', { class: 'kinds', role: 'tablist', 'aria-label': 'Views of the event' }, ...tabs),
    body)
  box.scrollTop = 0
  show(kind)
}

// selectTab marks one of the tabs as selected. The Tab key reaches only that one.
export function selectTab(tabs, chosen) {
  for (const tab of tabs) {
    tab.setAttribute('aria-selected', tab === chosen)
    tab.tabIndex = tab === chosen ? 0 : -1
  }
}

// arrows lets the arrow keys move between tabs.
export function arrows(tabs) {
  tabs.forEach((tab, i) => tab.addEventListener('keydown', (e) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key]
    if (!step) return
    e.preventDefault()
    const to = tabs[(i + step + tabs.length) % tabs.length]
    to.click()
    to.focus()
  }))
}

// facts shows pairs of a name and a value, each with a button that copies the value. If more follows the
// value, that is shown instead.
export const facts = (pairs) => el('dl', { class: 'facts' }, ...pairs.filter(([, value]) => value !== undefined && value !== '')
  .map(([name, value, ...shown]) => el('div', {},
    el('dt', {}, name), el('dd', { data: { value } }, el('span', {}, ...shown.length ? shown : [String(value)]),
      copyButton('copy', name, (button) => button.parentElement.dataset.value, 'act')))))

// time shows a time as it was sent, in local time unless that is UTC, and how long ago it is.
const time = (text) => text
  ? [text, `${text} `, el('span', { class: 'nowrap' }, `(${new Date(text).getTimezoneOffset() ? `${clock(text)}, ` : ''}`, ago(text), ')')]
  : []

function whole(item) {
  const { event } = item
  const box = el('div')
  if (event) {
    box.append(el('h3', {}, 'Envelope'), facts([
      ['id', event.id], ['type', event.type], ['source', event.source], ['subject', event.subject], ['time', ...time(event.time)],
      ['receivedtime', ...time(event.receivedtime)], ['userid', event.userid], ['entity', event.entity], ['entityid', event.entityid],
      ['provider', event.provider], ['signed', event.signed], ['traceparent', event.traceparent], ['tracestate', event.tracestate],
    ]))
  }
  const data = el('div')
  box.append(el('h3', {}, event ? 'Data' : 'Payload'), data, el('h3', {}, 'Message'), facts([
    ['subject', item.subject], ['sequence', item.sequence, count(item.sequence)],
    ['stored', ...time(item.stored)], ['size', item.size, bytes(item.size)],
    ...Object.entries(item.headers ?? {}).flatMap(([name, values]) => values.map((value) => [name, value])),
  ]))
  try {
    const parsed = JSON.parse(item.payload)
    data.append(tree(event ? parsed.data : parsed))
  } catch {
    data.append(el('pre', {}, item.payload))
  }
  return box
}

function raw(item) {
  const code = el('pre', { tabindex: '0', 'aria-label': 'Payload' })
  const lines = el('button', { type: 'button', 'aria-pressed': 'false' }, 'As it is stored')
  let stored = false
  const show = () => {
    let shown = item.payload
    try {
      if (!stored) shown = JSON.stringify(JSON.parse(shown), null, 2)
    } catch { /* it isn't JSON */ }
    code.textContent = shown
    lines.setAttribute('aria-pressed', stored)
  }
  lines.addEventListener('click', () => { stored = !stored; show() })
  show()
  const bar = [lines, el('span', { class: 'grow' }), copyButton('Copy', 'the payload as it is stored', () => item.payload)]
  return el('div', {}, el('div', { class: 'bar' }, ...bar), code)
}
