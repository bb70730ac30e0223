// Feed receives server-sent events. It reconnects by itself and goes on where it was, also after the server
// has dropped it for being slow, or was started again.
export class Feed {
  #source
  #at = {} // this process of the server, and the place of the last event
  #timer
  #on

  constructor(on) {
    this.#on = on
    // A page that nobody sees holds no connection: a browser has six for an origin.
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
      this.#close() // the browser would try again by itself, but without the place where it was
      this.#timer = setTimeout(() => this.#open(), 1000)
    })
  }

  #close() {
    clearTimeout(this.#timer)
    this.#source?.close()
  }
}
