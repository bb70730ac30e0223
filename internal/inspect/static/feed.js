// Feed receives server-sent events. It reconnects by itself, also if the server has dropped a slow page or has
// restarted.
export class Feed {
  #source
  #timer
  #on

  constructor(on) {
    this.#on = on
    // A hidden page has no connection: browsers allow only six per origin.
    document.addEventListener('visibilitychange', () => document.hidden ? this.#close() : this.#open())
    if (!document.hidden) this.#open()
  }

  #open() {
    this.#close()
    const source = this.#source = new EventSource('/api/feed')
    for (const kind of ['hello', 'state', 'events']) source.addEventListener(kind, (e) => this.#on[kind](JSON.parse(e.data)))
    source.addEventListener('error', () => {
      this.#on.lost()
      this.#close() // after some errors, the browser would not reconnect
      this.#timer = setTimeout(() => this.#open(), 1000)
    })
  }

  #close() {
    clearTimeout(this.#timer)
    this.#source?.close()
  }
}
