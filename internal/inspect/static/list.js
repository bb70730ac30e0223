import { byId, clock, el } from './dom.js'

// The newest events are kept, within these bounds.
const maxEvents = 5000
const maxBytes = 32 << 20

// newest returns the newest events: as many as the bounds allow, and at least one.
export function newest(items) {
  let from = items.length
  for (let bytes = 0; from > 0 && items.length - from < maxEvents; from--) {
    bytes += items[from - 1].payload.length
    if (bytes > maxBytes) break
  }
  return items.slice(Math.min(from, items.length - 1))
}

// List is the list of events, newest first. Only the visible rows are in the document.
export class List {
  #all = [] // oldest first
  #found = [] // by a search of the stream, oldest first; older than #all
  #shown = [] // #found, then the events of #all that match
  #matches = () => true
  #rows = new Map() // by sequence number
  #chosen
  #unseen = 0 // new events that came while the list was scrolled down
  #drawing = false
  #onChoose
  #box = byId('list')
  #space = byId('rows')
  #newer = byId('newer')

  constructor({ onChoose, onOpen }) {
    this.#onChoose = onChoose
    this.#box.addEventListener('scroll', () => this.draw(), { passive: true })
    new ResizeObserver(() => this.draw()).observe(this.#box)
    this.#newer.addEventListener('click', () => { this.#box.scrollTop = 0; this.#box.focus() })
    this.#space.addEventListener('click', (e) => {
      const row = e.target.closest('.row')
      if (!row) return
      this.choose(this.#shown.find((item) => item.sequence === Number(row.dataset.sequence)))
      onOpen(false)
    })
    this.#box.addEventListener('keydown', (e) => {
      if (e.ctrlKey || e.metaKey || e.altKey) return
      const page = Math.max(1, Math.floor(this.#box.clientHeight / this.#height) - 1)
      const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }
      if (e.key in steps) {
        e.preventDefault()
        this.step(steps[e.key])
      } else if (e.key === 'Enter' && this.#chosen) {
        e.preventDefault()
        onOpen(true)
      }
    })
  }

  get all() { return this.#all }
  get found() { return this.#found }
  get shown() { return this.#shown }
  get chosen() { return this.#chosen }
  get #height() { return parseFloat(getComputedStyle(document.documentElement).getPropertyValue('--row')) }

  clear() {
    this.#all = []
    this.#found = []
    this.#shown = []
    this.#chosen = undefined
    this.#space.replaceChildren()
    this.#rows.clear()
    this.#unseen = 0
    this.draw()
  }

  // add adds events, oldest first.
  add(items) {
    const height = this.#height
    const away = this.#box.scrollTop > height / 2
    const fresh = items.filter(this.#matches)
    this.#all.push(...items)
    this.#shown.push(...fresh)
    const kept = newest(this.#all)
    if (kept.length < this.#all.length) {
      this.#all = kept
      const first = this.#all[0].sequence
      let gone = 0
      const from = this.#found.length
      while (from + gone < this.#shown.length && this.#shown[from + gone].sequence < first) gone++
      this.#shown.splice(from, gone)
    }
    if (away) { // the visible events stay where they are
      this.#unseen += fresh.length
      this.#space.style.height = `${this.#shown.length * height}px`
      this.#box.scrollTop += fresh.length * height
    }
    this.draw()
  }

  // addFound adds older events that a search of the stream has found, oldest first.
  addFound(items) {
    this.#found.unshift(...items)
    this.#shown.unshift(...items)
    this.draw()
  }

  // filter shows the events that match, and forgets those that were found in the stream.
  filter(matches) {
    this.#matches = matches
    this.#found = []
    this.#shown = this.#all.filter(matches)
    this.#unseen = 0
    this.#box.scrollTop = 0
    this.draw()
  }

  choose(item) {
    this.#chosen = item
    this.draw()
    this.#onChoose(item)
  }

  // step chooses the event that is so many rows below the chosen one.
  step(by) {
    if (!this.#shown.length) return
    const last = this.#shown.length - 1
    const at = this.#chosen ? last - this.#shown.indexOf(this.#chosen) : -1
    const to = at > last || at < 0 ? 0 : Math.min(last, Math.max(0, at + by))
    const height = this.#height
    if (to * height < this.#box.scrollTop) this.#box.scrollTop = to * height
    if ((to + 1) * height > this.#box.scrollTop + this.#box.clientHeight) this.#box.scrollTop = (to + 1) * height - this.#box.clientHeight
    this.choose(this.#shown[last - to])
  }

  focus() { this.#box.focus() }

  draw() {
    if (this.#drawing) return
    this.#drawing = true
    requestAnimationFrame(() => {
      this.#drawing = false
      this.#draw()
    })
  }

  #draw() {
    const height = this.#height
    const n = this.#shown.length
    const top = this.#box.scrollTop
    if (top <= height / 2) this.#unseen = 0
    this.#space.style.height = `${n * height}px`
    const from = Math.max(0, Math.floor(top / height) - 6)
    const to = Math.min(n, Math.ceil((top + this.#box.clientHeight) / height) + 6)
    const keep = new Map()
    for (let i = from; i < to; i++) {
      const item = this.#shown[n - 1 - i]
      const row = this.#rows.get(item.sequence) ?? rowOf(item)
      row.style.transform = `translateY(${i * height}px)`
      row.setAttribute('aria-posinset', i + 1)
      row.setAttribute('aria-setsize', n)
      row.setAttribute('aria-selected', item === this.#chosen)
      keep.set(item.sequence, row)
    }
    for (const [sequence, row] of this.#rows) if (!keep.has(sequence)) row.remove()
    let next = this.#space.firstElementChild // rows are in the visible order, for screen readers
    for (const row of keep.values()) {
      if (row === next) next = next.nextElementSibling
      else this.#space.insertBefore(row, next)
    }
    this.#rows = keep
    if (keep.has(this.#chosen?.sequence)) this.#box.setAttribute('aria-activedescendant', `row-${this.#chosen.sequence}`)
    else this.#box.removeAttribute('aria-activedescendant')
    this.#newer.hidden = this.#unseen === 0
    this.#newer.textContent = `↑ ${this.#unseen} new`
  }
}

function rowOf(item) {
  const { event } = item
  const cell = (kind, text, data) => el('span', { class: kind, title: text, data }, text)
  const time = event?.receivedtime ?? item.stored
  return el('div', { class: 'row', role: 'option', id: `row-${item.sequence}`, data: { sequence: item.sequence } },
    el('span', { class: 'time', title: time }, clock(time)),
    event ? cell('name', event.event, { provider: event.provider }) : cell('name problem', item.subject),
    cell('about', event ? event.subject ?? '' : item.problem),
    cell(event?.userid === event?.entityid ? 'user same' : 'user', event?.userid ?? ''))
}
