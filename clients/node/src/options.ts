import type { Message } from './message.js'

/** What run consumes and how. Only durable is required. Times are in milliseconds. */
export interface Options {
  durable: string // the consumer's name; workers of one name share the events, each name has all of them
  stream?: string // WEBHOOKS
  subjectPrefix?: string // webhooks: the bridge's SUBJECT_PREFIX
  filters?: string[] // subjects, such as webhooks.*.user.created; none means all
  since?: Date // where a new durable begins; without it, with the oldest event
  concurrency?: number // 1: how many handlers run at once; all workers of the durable together at most 512; one worker with 1 keeps the stream's order, but for retries
  ackWait?: number // 30 s: how long after a worker's death another has its event; handlers may take longer
  timeout?: number // 5 min: how long a handler may take; ackWait after that, another worker gets the event
  maxAttempts?: number // 10: how often an event is tried before it is a dead letter
  backoff?: (attempt: number) => number // doubling(1 s, 5 min): the pause after an attempt; the first is 1
  deadStream?: string // {stream}_DEAD: dead letters, on {subjectPrefix}-dead.>
  makeDeadStream?: boolean // make that stream if it is missing; without it an event that always fails is tried for ever
  shutdownTimeout?: number // 30 s: how long handlers that began may go on when run is to stop
  signal?: AbortSignal // to stop run: it finishes what has begun, and begins nothing else
  logger?: Logger // console; it is never given an event's data
  observer?: Observer
}

/** Where run writes its log. */
export interface Logger {
  info(message: string, fields: object): void
  warn(message: string, fields: object): void
  error(message: string, fields: object): void
}

/** Is told how each attempt ended, for metrics. message.pending and message.stored tell how far behind the consumer is. */
export interface Observer {
  handled?(message: Message, took: number): void
  retried?(message: Message, took: number, error: Error): void // also if no dead letter could be stored
  dead?(message: Message, took: number, error: Error): void
}

/** Returns a backoff that begins with first and doubles with every attempt, up to limit. */
export const doubling = (first: number, limit: number) => (attempt: number): number =>
  Math.min(first * 2 ** (attempt - 1), limit)

export type Settings = Required<Omit<Options, 'since' | 'signal'>> & Pick<Options, 'since' | 'signal'>

// Node's timers take 32 bits of ms: a longer time would be 1 ms.
const timer = 2 ** 31 - 1
const limits = { concurrency: 10_000, ackWait: timer, timeout: timer, maxAttempts: Infinity, shutdownTimeout: timer }

/** Returns the options with the defaults. It throws if an option can't be right. */
export function withDefaults(options: Options): Settings {
  if (!options.durable || /[\s.*>/\\]/.test(options.durable)) { // nats-server refuses these too
    throw new TypeError(`options.durable is ${JSON.stringify(options.durable)}: give a name without space, dot, wildcard or slash`)
  }
  for (const [name, most] of Object.entries(limits)) {
    const value = options[name as keyof typeof limits]
    if (value !== undefined && !(value > 0 && value <= most)) {
      throw new TypeError(`options.${name} is ${value}: give a number above 0, at most ${most}`)
    }
  }
  if (Number.isNaN(options.since?.getTime())) throw new TypeError('options.since is no valid date: give one, or none')
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Options
  const stream = options.stream ?? 'WEBHOOKS'
  return {
    stream,
    subjectPrefix: 'webhooks',
    filters: [],
    concurrency: 1,
    ackWait: 30_000,
    timeout: 300_000,
    maxAttempts: 10,
    backoff: doubling(1_000, 300_000),
    deadStream: `${stream.replace(/_DEAD$/, '')}_DEAD`, // dead letters can be consumed, too
    makeDeadStream: false,
    shutdownTimeout: 30_000,
    logger: console,
    observer: {},
    ...given,
  }
}
