import { announce, byId, count, counted, since } from './dom.js'

// A search stops at one of these bounds, and can go on from there.
const maxFound = 500 // events
const maxBytes = 8 << 20 // of found events
const maxRead = 1_000_000 // events
const maxTime = 30_000 // ms

// StreamSearch searches the stream for events older than those that the page holds. It asks the server for
// one part after the other.
export class StreamSearch {
  #phase = 'idle' // or running, stopped, whole, failed
  #problem = ''
  #progress = { read: 0, share: 0 }
  #start // the search began before this event
  #running // aborts the search
  #onFound
  #onChange

  constructor({ onFound, onChange }) {
    this.#onFound = onFound
    this.#onChange = onChange
    byId('older-stop').addEventListener('click', () => this.#end('stopped'))
  }

  get running() { return this.#phase === 'running' }

  // begin searches the events before one, or goes on where the last search stopped. It reports whether the
  // search is new.
  begin(criteria, oldest) {
    if (this.running) return false
    const isNew = this.#phase !== 'stopped' || this.#hasGap(oldest)
    if (isNew) {
      this.reset()
      this.#start = oldest
    }
    this.#phase = 'running'
    this.#running = new AbortController()
    this.#search(criteria, this.#running.signal)
    this.#onChange()
    return isNew
  }

  // reset forgets what was searched.
  reset() {
    this.#running?.abort()
    this.#phase = 'idle'
    this.#progress = { read: 0, share: 0 }
  }

  #end(phase, problem = '') {
    this.#running.abort()
    this.#phase = phase === 'stopped' && !this.#progress.before ? 'idle' : phase
    this.#problem = problem
    this.#onChange()
    announce(byId('older-text').textContent)
  }

  // search asks for the parts, the newest first. While they come quickly, it asks for larger ones.
  async #search(criteria, signal) {
    const { sequence: end } = this.#start
    const began = Date.now()
    let [size, found, bytes, read] = [1000, 0, 0, 0]
    while (!signal.aborted) {
      const asked = Date.now()
      const { before = end, streamCreated = this.#start.streamCreated, ...last } = this.#progress
      const part = await get({ ...criteria, before, streamCreated, size }, signal)
      if (signal.aborted) return
      if (!part.problem && last.read && part.streamCreated !== streamCreated) part.problem = 'The stream was deleted and created again.'
      if (part.problem) {
        this.#end('failed', part.problem)
        return
      }
      this.#progress = {
        before: part.before, streamCreated: part.streamCreated, read: last.read + part.read, time: part.read ? part.time : last.time,
        share: (end - part.before) / (end - part.first) || 1,
      }
      this.#onFound(part.events)
      found += part.events.length
      for (const event of part.events) bytes += event.size
      read += part.read
      if (part.before <= part.first) this.#end('whole')
      else if (found >= maxFound || bytes >= maxBytes || read >= maxRead || Date.now() - began > maxTime) this.#end('stopped')
      else this.#onChange()
      if (Date.now() - asked < 500) size = Math.min(2 * size, 100_000)
    }
  }

  // hasGap reports whether the page has dropped events since the search began: they weren't searched.
  #hasGap(oldest) { return this.#start && (oldest?.streamCreated !== this.#start.streamCreated || oldest.sequence > this.#start.sequence) }

  // show shows the progress. held is the number of events on the page, oldest is the oldest of them. It reports
  // whether the stream has older events that weren't searched.
  show({ filtering, held, found, oldest, stream }) {
    const done = this.#phase === 'whole' || this.#phase === 'stopped'
    const phase = done && this.#hasGap(oldest) ? 'idle' : this.#phase
    const beyond = Boolean(filtering && oldest && stream && stream.first_seq < oldest.sequence)
    byId('older').hidden = !beyond && phase === 'idle'
    const older = `${counted(found, 'older event')} found`
    const { read, share, time } = this.#progress
    const back = read ? `, back to ${since(time)}` : ''
    byId('older-text').textContent = {
      idle: `Only the last ${count(held)} of ${count(stream?.messages ?? held)} events were searched.`,
      running: `Searching the stream: ${count(read)} read${back}. ${older}.`,
      stopped: `Searched ${counted(read, 'more event')}${back}. ${older}.`,
      whole: `The whole stream is searched. ${older}.`,
      failed: this.#problem,
    }[phase]
    byId('older').dataset.phase = phase
    const buttons = [byId('older-go'), byId('older-stop')]
    const focused = buttons.find((button) => button === document.activeElement)
    byId('older-progress').hidden = phase !== 'running'
    byId('older-progress').value = share
    byId('older-stop').hidden = phase !== 'running'
    byId('older-go').hidden = phase === 'running' || phase === 'whole'
    byId('older-go').textContent = { stopped: 'Search further', failed: 'Try again' }[phase] ?? 'Search the stream'
    if (focused?.hidden) (buttons.find((button) => !button.hidden) ?? byId('list')).focus()
    return beyond && phase === 'idle'
  }
}

async function get(values, signal) {
  try {
    const answer = await fetch(`/api/search?${new URLSearchParams(values)}`, { signal })
    return await answer.json()
  } catch {
    return { problem: 'bridge inspect doesn’t answer: is it still running?' }
  }
}
