// Small helpers. Everything that comes from an event gets into the page as text.

export const byId = (id) => document.getElementById(id)

// el makes an element. on… are listeners, data is its dataset, the rest attributes; children are elements
// or text.
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (name === 'data') Object.assign(element.dataset, value)
    else if (name === 'class') element.className = value
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.filter((child) => child !== undefined && child !== null))
  return element
}

export const say = (text) => { byId('said').textContent = text }

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text)
    say(`${what} copied`)
    return true
  } catch {
    say('The browser does not let this page copy')
    return false
  }
}

// copyButton copies what text returns, and says so where it was pressed. what is what it copies, where the
// label alone doesn't say it.
export function copyButton(label, what, text, kind = '') {
  const button = el('button', { type: 'button', class: kind, 'aria-label': what ? `Copy ${what}` : undefined, title: `Copy ${what || 'it'}` }, label)
  let back
  button.addEventListener('click', async () => {
    button.textContent = await copy(await text(), what || label) ? 'Copied' : 'Not allowed'
    clearTimeout(back)
    back = setTimeout(() => { button.textContent = label }, 1200)
  })
  return button
}

const two = (n) => String(n).padStart(2, '0')

// clock is a time of day in this place, with the date unless that is today.
export function clock(text) {
  const t = new Date(text)
  if (!text || Number.isNaN(t.getTime())) return String(text ?? '')
  const time = `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}.${String(t.getMilliseconds()).padStart(3, '0')}`
  return t.toDateString() === new Date().toDateString() ? time : `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${time}`
}

export const count = (n) => n.toLocaleString('en')

export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let i = 0
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024
  return `${n >= 10 || i === 0 ? Math.round(n) : n.toFixed(1)} ${units[i]}`
}

// span is a number of seconds in words: of the largest unit that says it well.
export function span(seconds) {
  for (const [unit, size] of [['d', 86400], ['h', 3600], ['min', 60]]) {
    if (seconds >= 2 * size || seconds === size) return `${Math.round(seconds / size)} ${unit}`
  }
  return `${Math.round(seconds)} s`
}

export const since = (text) => text ? `${span(Math.max(0, (Date.now() - new Date(text)) / 1000))} ago` : 'never'
