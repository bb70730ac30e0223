import { chart, forget, record } from './chart.js'
import { arrows, detail, selectTab } from './detail.js'
import { byId, bytes, commandLine, copy, count, el, refreshTimes } from './dom.js'
import { Feed } from './feed.js'
import { fieldNames, filter, unknownFields } from './filter.js'
import { behind, observe } from './lag.js'
import { List, newest } from './list.js'
import { quarantinePanel, streamPanel } from './panels.js'
import { StreamSearch } from './search.js'

let about = { prefix: '', stream: '', nats: '', command: 'bridge', endpoint: '', secrets: '' }
let state
let paused = false
let waiting = [] // events that are not in the list yet
let last // the newest event that has come
let isFirstBatch = false // whether the next events are the first of a connection
let clearFirst = false // whether the list is cleared before the waiting events are added
let scheduled = false

const list = new List({ onChoose: (item) => detail(item, about, back), onOpen: open })
const streamSearch = new StreamSearch({ onFound: (items) => list.addFound(items), onChange: showCounts })
detail(undefined, about, back)

// schedule adds the waiting events to the list in the next frame: at most once per frame, however many come.
function schedule() {
  if (scheduled || paused) return
  scheduled = true
  requestAnimationFrame(() => {
    scheduled = false
    if (paused) return
    if (clearFirst) {
      streamSearch.reset()
      list.clear()
    }
    clearFirst = false
    const items = waiting
    waiting = []
    for (const item of items) {
      offer('provider', item.event?.provider)
      offer('event', item.event?.event)
    }
    if (items.length) list.add(items)
    showCounts()
  })
}

// offer adds an option to a select, in alphabetical order.
const offered = new Set()
function offer(id, value) {
  const known = `${id}\n${value}`
  if (!value || offered.has(known) || offered.size > 500) return
  offered.add(known)
  const select = byId(id)
  const before = [...select.options].find((option, i) => i > 0 && option.value > value)
  select.insertBefore(el('option', { value }, value), before ?? null)
}

new Feed({
  hello(hello) {
    about = hello
    isFirstBatch = true
    byId('where').textContent = `${hello.stream} at ${hello.nats}`
    byId('where').title = `bridge ${hello.version}`
    document.title = `${hello.stream} · bridge inspect`
    showCounts()
  },
  events(items) {
    const { streamCreated } = items.at(-1)
    const isOther = last && last.streamCreated !== streamCreated
    if (isOther || isFirstBatch && items[0].sequence > last?.sequence + 1) reset() // else the list would have a gap
    isFirstBatch = false
    const fresh = items.filter((item) => item.streamCreated === streamCreated && !(item.sequence <= last?.sequence))
    last = fresh.at(-1) ?? last
    record(fresh)
    waiting = newest(waiting.concat(fresh))
    if (paused) showCounts()
    schedule()
  },
  state(next) {
    state = { ...next, consumers: next.consumers ?? [] }
    observe(state.consumers)
    if (!next.connected) link('bad', 'NATS is away')
    else if (next.eventsProblem) link('wait', 'Connected, not reading')
    else link('good', 'Live')
    trouble(next.eventsProblem)
    glance()
    panels()
    refreshTimes()
    showCounts()
  },
  lost() {
    link('bad', 'No answer')
    trouble('bridge inspect doesn’t answer: is it still running? Trying again.')
  },
})

function reset() {
  waiting = []
  last = undefined
  clearFirst = true
  forget()
}

function link(kind, text) {
  byId('link').dataset.state = kind
  if (byId('link-text').textContent !== text) byId('link-text').textContent = text
}

function trouble(text) {
  const box = byId('trouble')
  box.hidden = !text
  if (box.textContent !== text) box.textContent = text
}

function glance() {
  const perSecond = chart()
  fact('fact-rate', perSecond >= 10 ? count(Math.round(perSecond)) : perSecond.toFixed(1))
  fact('fact-stream', state.stream ? count(state.stream.state.messages) : '–')
  byId('fact-stream').title = state.stream ? bytes(state.stream.state.bytes) : ''
  const furthest = Math.max(0, ...state.consumers.map(behind))
  fact('fact-behind', state.consumers.length ? count(furthest) : '–', furthest > 0 ? 'warn' : '')
  const held = state.quarantine?.state.messages
  fact('fact-quarantine', held === undefined ? '–' : count(held), held ? 'warn' : '')
  byId('quarantine-count').hidden = !held
  byId('quarantine-count').textContent = held ? count(held) : ''
}

function fact(id, text, kind = '') {
  byId(id).textContent = text
  byId(id).dataset.state = kind
}

function panels() {
  if (!state) return
  if (!byId('panel-stream').hidden) streamPanel(state)
  quarantinePanel(state, about)
}

// showCounts shows how many events match, and what to do if none does.
function showCounts() {
  const { length } = list.all
  const filtering = isFiltering()
  const found = list.found.length
  byId('matching').textContent = filtering ? `${count(list.shown.length - found)} of ${count(length)}` : length ? count(length) : ''
  const beyond = streamSearch.show({ filtering, held: length, found, oldest: oldest(), stream: state?.stream?.state })
  byId('clear').hidden = !filtering
  byId('pause').textContent = paused ? `Resume${waiting.length ? ` · ${count(waiting.length)} new` : ''}` : 'Pause'
  empty(length, filtering, beyond)
}

// oldest returns the oldest event that the page holds.
const oldest = () => list.all[0]

function empty(length, filtering, beyond) {
  const box = byId('empty')
  const kind = list.shown.length || streamSearch.running ? '' : length && filtering ? (beyond ? 'beyond' : 'filter')
    : state?.connected ? (state.eventsProblem ? 'stream' : 'none') : 'wait'
  box.hidden = !kind
  if (box.dataset.kind === kind) return
  box.dataset.kind = kind
  const send = `${about.command} send ${about.endpoint}`
  const showAll = el('button', { type: 'button', onclick: clearFilters }, 'Show all')
  box.replaceChildren(...{
    '': [],
    wait: [el('p', {}, 'Waiting for NATS.')],
    stream: [el('p', {}, 'Waiting for the stream.')],
    none: [
      el('h2', {}, 'No events yet'),
      el('p', {}, 'Events appear here as soon as they are in the stream.'),
      commandLine(send, `Sends an event to a bridge on this machine. Set ${about.secrets} to the bridge’s secret.`),
    ],
    beyond: [
      el('h2', {}, 'No match among the events on this page'),
      el('p', {}, 'New events that match will appear here. To find older ones, search the stream.'), showAll,
    ],
    filter: [el('h2', {}, 'No event matches'), el('p', {}, 'New events that match will appear here.'), showAll],
  }[kind])
}

// Filters.

const search = byId('search')
const criteria = () => ({ search: search.value, provider: byId('provider').value, event: byId('event').value })
const isFiltering = () => Object.values(criteria()).some(Boolean)
function refilter() {
  streamSearch.reset()
  list.filter(filter(criteria()))
  const unknown = unknownFields(search.value)
  byId('search-problem').hidden = !unknown.length
  byId('search-problem').textContent = unknown.length
    ? `There is no field “${unknown[0]}”, so “${unknown[0]}:…” is searched for as text. Fields: ${fieldNames.join(', ')}.` : ''
  showCounts()
}
function searchStream() {
  if (!byId('older').hidden && !byId('older-go').hidden) byId('older-go').click()
}
byId('older-go').addEventListener('click', () => {
  if (streamSearch.begin(criteria(), oldest())) list.filter(filter(criteria()))
})
function clearFilters() {
  byId('filters').reset()
}
byId('filters').addEventListener('input', refilter)
byId('filters').addEventListener('reset', () => setTimeout(refilter)) // after it has taken place
byId('filters').addEventListener('submit', (e) => e.preventDefault())
byId('pause').addEventListener('click', () => {
  paused = !paused
  byId('pause').setAttribute('aria-pressed', paused)
  showCounts()
  schedule()
})

// On a narrow screen, either the list or the chosen event is shown.

function open(byKey) {
  document.body.classList.add('reading')
  if (byKey || matchMedia('(max-width: 760px)').matches) byId('detail').focus()
}
function back() {
  document.body.classList.remove('reading')
  list.focus()
}

const tabs = ['events', 'stream', 'quarantine'].map((name) => byId(`tab-${name}`))
function view(chosen) {
  if (chosen !== tabs[0]) document.body.classList.remove('reading')
  selectTab(tabs, chosen)
  for (const tab of tabs) byId(tab.getAttribute('aria-controls')).hidden = tab !== chosen
  panels()
  list.draw()
}
for (const tab of tabs) tab.addEventListener('click', () => view(tab))
arrows(tabs)

// Keys.

const help = byId('help')
byId('help-open').addEventListener('click', () => help.showModal())
document.addEventListener('keydown', async (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || help.open) return
  const typing = e.target.matches('input, select, textarea')
  if (e.key === 'Escape') {
    if (e.target === search && search.value) {
      search.value = ''
      refilter()
    } else back()
    e.preventDefault()
    return
  }
  if (typing) {
    if (e.target === search && (e.key === 'ArrowDown' || e.key === 'Enter')) {
      e.preventDefault()
      list.focus()
      list.step(list.chosen ? 0 : 1)
    }
    return
  }
  const action = {
    '/': () => { view(tabs[0]); search.focus(); search.select() },
    '?': () => help.showModal(),
    p: () => byId('pause').click(),
    s: searchStream,
    c: async () => { if (list.chosen) await copy(list.chosen.payload, 'The event') },
    j: () => { list.focus(); list.step(1) },
    k: () => { list.focus(); list.step(-1) },
    1: () => { view(tabs[0]); list.focus() },
    2: () => { view(tabs[1]); tabs[1].focus() },
    3: () => { view(tabs[2]); tabs[2].focus() },
  }[e.key]
  if (!action || e.defaultPrevented) return
  e.preventDefault()
  await action()
})
