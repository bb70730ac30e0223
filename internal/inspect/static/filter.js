// What of an event the search looks at, by the field's name.
const fields = {
  user: ({ event }) => event?.userid,
  entity: ({ event }) => event?.subject ?? event?.entity,
  id: ({ event, subject }) => event?.id ?? subject,
  event: ({ event }) => event?.event,
  provider: ({ event }) => event?.provider,
  signed: ({ event }) => event?.signed,
  subject: ({ subject }) => subject,
}

// text is all that is searched of an event, in lower case, made once.
function text(item) {
  item.text ??= [item.subject, ...Object.values(item.event ?? {}), item.payload ?? ''].join('\n').toLowerCase()
  return item.text
}

// filter returns whether an event passes all of: the words of the search, the provider, the event's name.
export function filter({ search, provider, event }) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
    const [, name, value] = /^([a-z]+):(.+)$/.exec(word) ?? []
    return Object.hasOwn(fields, name ?? '') ? (item) => (fields[name](item) ?? '').toLowerCase().includes(value) : (item) => text(item).includes(word)
  })
  return (item) => (!provider || item.event?.provider === provider) && (!event || item.event?.event === event) && words.every((has) => has(item))
}
