// Feed receives server-sent events. It reconnects by itself and continues where it was, even if the server
// has dropped it for being slow or has restarted.
export class Feed {
  #source
  #at = {} // the server's process, and the place of the last event
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
    const source = this.#source = new EventSource(`/api/feed?${new URLSearchParams(this.#at)}`)
    source.addEventListener('hello', (e) => {
      const hello = JSON.parse(e.data)
      this.#at = { boot: hello.boot, place: hello.place }
      this.#on.hello(hello)
    })
    source.addEventListener('state', (e) => this.#on.state(JSON.parse(e.data)))
    source.addEventListener('events', (e) => {
      const events = JSON.parse(e.data)
      this.#at.place = events.at(-1).place
      this.#on.events(events)
    })
    source.addEventListener('error', () => {
      this.#on.lost()
      this.#close() // the browser would reconnect by itself, but without the place
      this.#timer = setTimeout(() => this.#open(), 1000)
    })
  }

  #close() {
    clearTimeout(this.#timer)
    this.#source?.close()
  }
}
