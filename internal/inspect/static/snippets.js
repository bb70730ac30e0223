import { copyButton, el } from './dom.js'

const kinds = [['nats', 'nats'], ['go', 'Go'], ['javascript', 'JavaScript']]
const shell = (text) => /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
const templates = new Map() // by kind, once fetched

async function template(kind) {
  if (!templates.has(kind)) {
    const answer = await fetch(`/snippet-${kind}.txt`)
    if (!answer.ok) throw new Error(answer.statusText)
    templates.set(kind, await answer.text())
  }
  return templates.get(kind)
}

// scopes returns the subjects to choose from: the event's, all of its endpoint, all events.
function scopes(subject, prefix) {
  const under = `${prefix}.`
  const all = `${under}>`
  if (!subject.startsWith(under)) return [subject]
  const endpoint = subject.slice(under.length).split('.')[0]
  return [...new Set([subject, `${under}${endpoint}.>`, all])]
}

let kind = 'nats' // the last one that was chosen

// snippets shows how to consume a subject: with the nats command, in Go and in JavaScript.
export function snippets(subject, { prefix, stream, nats }) {
  const code = el('pre', { tabindex: '0', 'aria-label': 'Snippet' })
  const options = scopes(subject, prefix).map((scope) => el('option', {}, scope))
  const choose = el('select', { 'aria-label': 'Subject of the snippet' }, ...options)
  const choices = { type: 'button', 'aria-pressed': 'false' }
  const buttons = kinds.map(([name, label]) => el('button', { ...choices, onclick: () => { kind = name; show() } }, label))
  const show = async () => {
    buttons.forEach((button, i) => button.setAttribute('aria-pressed', kinds[i][0] === kind))
    const quote = kind === 'nats' ? shell : JSON.stringify
    const values = { NATS: nats, STREAM: stream, SUBJECT: choose.value, NAME: 'my-service' }
    try {
      const text = await template(kind)
      code.textContent = text.replaceAll(/\{\{(\w+)\}\}/g, (_, name) => quote(values[name]))
    } catch {
      code.textContent = 'The snippet can’t be loaded: is bridge inspect still running?'
    }
  }
  choose.addEventListener('change', show)
  show()
  return el('div', { class: 'snippets' },
    el('div', { class: 'bar' }, ...buttons, choose,
      el('span', { class: 'grow' }), copyButton('Copy', 'the snippet', () => code.textContent)),
    code)
}
