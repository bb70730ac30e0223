// Feed receives server-sent events. It connects again by itself, even if the server has dropped it for being
// slow or has restarted.
export class Feed {
  #source
  #timer
  #on

  constructor(on) {
    this.#on = on
    // A hidden page holds no connection: a browser allows an origin only six.
    document.addEventListener('visibilitychange', () => document.hidden ? this.#close() : this.#open())
    if (!document.hidden) this.#open()
  }

  #open() {
    this.#close()
    const source = this.#source = new EventSource('/api/feed')
    for (const kind of ['hello', 'state', 'events']) source.addEventListener(kind, (e) => this.#on[kind](JSON.parse(e.data)))
    source.addEventListener('error', () => {
      this.#on.lost()
      this.#close() // the browser would give up at some errors
      this.#timer = setTimeout(() => this.#open(), 1000)
    })
  }

  #close() {
    clearTimeout(this.#timer)
    this.#source?.close()
  }
}
