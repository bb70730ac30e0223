import { byId, count, counted } from './dom.js'

const svg = 'http://www.w3.org/2000/svg'
const seconds = 120
const stored = new Map() // by second (Unix time): how many events were stored

// record counts events by the second in which they were stored.
export function record(items) {
  const now = Math.floor(Date.now() / 1000)
  for (const item of items) {
    const second = Math.min(now, Math.floor(Date.parse(item.stored) / 1000)) // the server's clock may be ahead of ours
    if (second > now - seconds) stored.set(second, (stored.get(second) ?? 0) + 1)
  }
}

export const forget = () => stored.clear()

// chart draws the counts as bars. It returns the events per second, averaged over the last five.
export function chart() {
  const first = Math.floor(Date.now() / 1000) - seconds + 1
  for (const second of stored.keys()) if (second < first) stored.delete(second)
  const counts = Array.from({ length: seconds }, (_, i) => stored.get(first + i) ?? 0)
  const box = byId('chart')
  const width = 6
  const height = 34
  if (!box.childElementCount) {
    box.setAttribute('viewBox', `0 0 ${seconds * width} ${height}`)
    box.replaceChildren(...counts.map((_, i) => {
      const bar = document.createElementNS(svg, 'rect')
      bar.setAttribute('x', i * width)
      bar.setAttribute('width', width - 1.5)
      return bar
    }))
    box.lastElementChild.setAttribute('class', 'open') // the second that isn't over
  }
  const peak = Math.max(...counts)
  counts.forEach((n, i) => {
    const tall = n === 0 ? 0 : Math.max(2, n / peak * (height - 1))
    box.children[i].setAttribute('height', tall)
    box.children[i].setAttribute('y', height - tall)
  })
  const all = counts.reduce((sum, n) => sum + n, 0)
  byId('chart-peak').textContent = peak ? `${counted(all, 'event')}, at most ${count(peak)} in a second` : ''
  box.setAttribute('aria-label', `Events a second in the last two minutes: ${count(all)} in all, at most ${count(peak)} in a second`)
  const last = counts.slice(-6, -1) // five whole seconds
  return last.reduce((sum, n) => sum + n, 0) / last.length
}
