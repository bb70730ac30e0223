import { announce, byId, count, since } from './dom.js'

// StreamSearch searches the stream for events that the page doesn't hold, on the server. It begins before
// the oldest one that the page holds.
export class StreamSearch {
  #source
  #phase = 'idle' // or running, stopped, whole, failed
  #problem = ''
  #progress = { read: 0, share: 0 }
  #start // the event before which it began
  #onFound
  #onChange

  constructor({ onFound, onChange }) {
    this.#onFound = onFound
    this.#onChange = onChange
    byId('older-stop').addEventListener('click', () => this.#end('stopped'))
  }

  get running() { return this.#phase === 'running' }

  // begin searches before an event, or goes on where the last search ended.
  begin(criteria, oldest) {
    if (this.running) return
    const goesOn = this.#phase === 'stopped' && this.#progress.before && !this.#hasGap(oldest)
    if (!goesOn) {
      this.reset()
      this.#start = oldest
    }
    this.#phase = 'running'
    const from = { before: goesOn ? this.#progress.before : oldest.sequence, made: oldest.made }
    const read = this.#progress.read
    const source = this.#source = new EventSource(`/api/search?${new URLSearchParams({ ...criteria, ...from })}`)
    source.addEventListener('found', (e) => {
      const { events, ...progress } = JSON.parse(e.data)
      this.#progress = { ...progress, read: read + progress.read }
      this.#onFound(events)
      this.#onChange()
    })
    source.addEventListener('end', (e) => {
      const { whole, problem } = JSON.parse(e.data)
      this.#end(problem ? 'failed' : whole ? 'whole' : 'stopped', problem)
    })
    source.addEventListener('error', () => this.#end('failed', 'bridge inspect doesn’t answer: is it still running?'))
    this.#onChange()
  }

  // reset forgets what was searched.
  reset() {
    this.#source?.close()
    this.#phase = 'idle'
    this.#progress = { read: 0, share: 0 }
  }

  #end(phase, problem = '') {
    this.#source.close()
    this.#phase = phase === 'stopped' && !this.#progress.before ? 'idle' : phase
    this.#problem = problem
    this.#onChange()
    announce(byId('older-text').textContent)
  }

  // hasGap reports whether the page has dropped events since, which were not searched.
  #hasGap(oldest) { return this.#start && (oldest?.made !== this.#start.made || oldest.sequence > this.#start.sequence) }

  // show shows how far the search is. held is the number of events that the page holds, oldest the first.
  show({ filtering, held, found, oldest, stream }) {
    const done = this.#phase === 'whole' || this.#phase === 'stopped'
    const phase = done && this.#hasGap(oldest) ? 'idle' : this.#phase
    const beyond = Boolean(filtering && oldest && stream && stream.first_seq < oldest.sequence)
    byId('older').hidden = !beyond && phase === 'idle'
    const older = `${count(found)} older ${found === 1 ? 'event' : 'events'} found`
    const { read, share, time } = this.#progress
    const back = read ? `, back to ${since(time)}` : ''
    byId('older-text').textContent = {
      idle: `Searched: the last ${count(held)} of ${count(stream?.messages ?? held)} events.`,
      running: `Searching the stream: ${count(read)} read${back}. ${older}.`,
      stopped: `Searched ${count(read)} more events${back}. ${older}.`,
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
    byId('older-go').textContent = { stopped: 'Search on', failed: 'Try again' }[phase] ?? 'Search the stream'
    if (focused?.hidden) (buttons.find((button) => !button.hidden) ?? byId('list')).focus()
    return beyond && phase === 'idle'
  }
}
