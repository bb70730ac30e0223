import { copyButton, el } from './dom.js'

const openDepth = 4 // levels that are open at first
const atOnce = 100 // members that are shown at first
const longest = 400 // characters of a string that are shown at first

// tree shows a JSON value. It fills a closed branch when the branch is opened.
export function tree(value) {
  const root = el('div', { class: 'tree' })
  if (isBranch(value)) members(root, value, 1)
  else root.append(leaf(undefined, value))
  return root
}

// moreButton makes a button that shows more in its place.
function moreButton(label, show) {
  const button = el('button', { type: 'button', class: 'quiet', onclick: () => { button.remove(); show() } }, label)
  return button
}

const isBranch = (value) => typeof value === 'object' && value !== null

function members(into, value, depth) {
  const entries = Object.entries(value)
  if (!entries.length) into.append(el('div', { class: 'leaf' }, el('span', { class: 'size' }, Array.isArray(value) ? '[ ]' : '{ }')))
  const more = (from) => {
    for (const [key, member] of entries.slice(from, from + atOnce)) {
      into.append(isBranch(member) ? branch(key, member, depth) : leaf(key, member))
    }
    if (from + atOnce >= entries.length) return
    into.append(moreButton(`${entries.length - from - atOnce} more`, () => more(from + atOnce)))
  }
  more(0)
}

function branch(key, value, depth) {
  const n = Object.keys(value).length
  const size = Array.isArray(value) ? `[ ${n} ]` : `{ ${n} }`
  const inside = el('div')
  const details = el('details', {}, el('summary', {}, el('span', { class: 'key' }, key), ' ', el('span', { class: 'size' }, size)), inside)
  let filled = false
  const fill = () => {
    if (filled || !details.open) return
    filled = true
    members(inside, value, depth + 1)
  }
  details.addEventListener('toggle', fill)
  if (depth < openDepth && n <= 50) {
    details.open = true
    fill()
  }
  return el('div', { class: 'branch' }, copyButton('copy', key, () => JSON.stringify(value, null, 2), 'act'), details)
}

function leaf(key, value) {
  const kind = typeof value === 'string' ? 'string' : typeof value === 'number' ? 'number' : 'word'
  const whole = JSON.stringify(value)
  const text = el('span', { class: kind }, whole.length > longest ? whole.slice(0, longest) : whole)
  const line = el('div', { class: 'leaf' }, ...key === undefined ? [] : [el('span', { class: 'key' }, key), ' '], text)
  if (whole.length > longest) {
    line.append(moreButton(`… ${whole.length - longest} more`, () => { text.textContent = whole }))
  }
  line.append(' ', copyButton('copy', key ?? 'value', () => typeof value === 'string' ? value : whole, 'act'))
  return line
}
