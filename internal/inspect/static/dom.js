// Small helpers. All that comes from an event is put into the page as text, never as HTML.

export const byId = (id) => document.getElementById(id)

// el makes an element. Attributes that begin with on are listeners, data is the dataset. Children are elements
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

// breakable returns a name as nodes that may break after its dots and underscores.
export const breakable = (text) => text.split(/(?<=[._])/).flatMap((part) => [part, el('wbr')])

export const announce = (text) => { byId('announcement').textContent = text }

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text)
    announce(`${what} copied`)
    return true
  } catch {
    announce('The browser doesn’t allow this page to copy')
    return false
  }
}

// copyButton makes a button that copies the text that a function returns, and then reads “Copied”. what names
// the text, if the label doesn't.
export function copyButton(label, what, text, kind = '', name = what ? `Copy ${what}` : undefined) {
  const button = el('button', { type: 'button', class: kind, 'aria-label': name, title: name }, label)
  let back
  button.addEventListener('click', async () => {
    button.textContent = await copy(await text(button), what || 'Text') ? 'Copied' : 'Not allowed'
    button.dataset.copied = 'true'
    clearTimeout(back)
    back = setTimeout(() => {
      button.textContent = label
      delete button.dataset.copied
    }, 1200)
  })
  return button
}

const two = (n) => String(n).padStart(2, '0')

// clock returns the local time, with the date unless it is today.
export function clock(text) {
  const t = new Date(text)
  if (!text || Number.isNaN(t.getTime())) return String(text ?? '')
  const time = `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}.${String(t.getMilliseconds()).padStart(3, '0')}`
  return t.toDateString() === new Date().toDateString() ? time : `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${time}`
}

export const count = (n) => n.toLocaleString('en')
export const counted = (n, noun) => `${count(n)} ${noun}${n === 1 ? '' : 's'}`

export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let i = 0
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024
  return `${n >= 10 || i === 0 ? Math.round(n) : n.toFixed(1)} ${units[i]}`
}

// span returns a number of seconds in words, in the largest unit that gives at least 2.
export function span(seconds) {
  for (const [unit, size] of [['d', 86400], ['h', 3600], ['min', 60]]) {
    if (seconds >= 2 * size || seconds === size) return `${Math.round(seconds / size)} ${unit}`
  }
  return `${Math.round(seconds)} s`
}

export const since = (text) => `${span(Math.max(0, (Date.now() - new Date(text)) / 1000))} ago`

// ago shows how long ago a time is, with the time as its title. refreshTimes updates all of them.
export const ago = (text) => el('time', { datetime: text, title: text }, since(text))
export function refreshTimes() {
  for (const time of document.querySelectorAll('time')) {
    const words = since(time.dateTime)
    if (time.textContent !== words) time.textContent = words
  }
}

// commandLine shows a command to copy, and what it does.
export const commandLine = (command, purpose) => el('div', { class: 'command' },
  el('code', {}, command), copyButton('Copy command', '', () => command, '', `Copy command: ${command}`),
  el('p', { class: 'hint' }, purpose))

// morph makes an element the same as a new one. It keeps the nodes that exist, so focus, selection and
// scrolling stay.
export function morph(old, fresh) {
  if (old.nodeName !== fresh.nodeName) return old.replaceWith(fresh)
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data
    return undefined
  }
  if (old.dataset.copied) return undefined
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name)
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value)
  const children = [...fresh.childNodes]
  while (old.childNodes.length > children.length) old.lastChild.remove()
  children.forEach((child, i) => i < old.childNodes.length ? morph(old.childNodes[i], child) : old.append(child))
  return undefined
}
