// The fields of an event that a search may name. internal/inspect/query.go has the same for searching the
// stream; testdata/queries.json tests both.
const fields = {
  user: ({ event }) => event?.userid,
  entity: ({ event }) => event?.subject ?? event?.entity,
  id: ({ event }) => event?.id,
  event: ({ event }) => event?.event,
  provider: ({ event }) => event?.provider,
  subject: ({ subject }) => subject,
  signed: ({ event }) => event?.signed,
}
export const fieldNames = Object.keys(fields)

// words splits a search into words, each with the name of its field, if it has one.
const words = (search) => search.toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
  const [, name, value] = /^([a-z]+):(.*)$/.exec(word) ?? []
  return { word, name, value, known: Object.hasOwn(fields, name ?? '') }
})

// unknownFields returns the names in a search that look like fields but aren't.
export const unknownFields = (search) => words(search).filter(({ name, known }) => name && !known).map(({ name }) => name)

// text returns the text of an event that is searched, in lower case. It is made once.
function text(item) {
  item.text ??= [item.subject, ...Object.values(item.event ?? {}), item.payload].join('\n').toLowerCase()
  return item.text
}

// filter returns a function that reports whether an event matches the search, the provider and the event's name.
export function filter({ search, provider, event }) {
  const tests = words(search).map(({ word, name, value, known }) => known
    ? (item) => (fields[name](item) ?? '').toLowerCase().includes(value)
    : (item) => text(item).includes(word))
  if (provider) tests.push((item) => item.event?.provider === provider)
  if (event) tests.push((item) => item.event?.event === event)
  return (item) => tests.every((test) => test(item))
}
