import type { Message } from './attempt.js'

/** What run consumes and how. Only durable is required. Times are in milliseconds. */
export interface Options {
  durable: string // the consumer's name; workers of one name share the events, each name has all of them
  stream?: string // WEBHOOKS; dead letters go to the stream {stream}_DEAD
  subjectPrefix?: string // webhooks: the bridge's SUBJECT_PREFIX; dead letters have the subjects {subjectPrefix}-dead.>
  filters?: string[] // subjects, such as webhooks.*.user.created; none means all
  since?: Date // where a new durable begins; without it, with the oldest event
  concurrency?: number // 1: handlers at once, in all workers at most 512; one worker with 1 keeps the order, except for retries
  ackWait?: number // 30 s: how long after a worker's death another has its event; handlers may take longer
  timeout?: number // 5 min: how long a handler may take; ackWait after that, another worker gets the event
  maxAttempts?: number // 10: how often an event is tried before it is a dead letter
  backoff?: number // 1 s: the pause after the first attempt; it doubles with each, up to 5 min
  makeDeadStream?: boolean // make a missing stream of dead letters, with the consumer's replicas; without one an event that always fails stays
  shutdownTimeout?: number // 30 s: how long running handlers may go on once signal is aborted
  signal?: AbortSignal // to stop run: it finishes what has begun, and begins nothing else
  logger?: Pick<Console, 'info' | 'warn' | 'error'> // console; it is never given an event's data
  /** Is called after each attempt, for metrics. message.pending and message.stored tell how far behind the consumer is. */
  observer?: (message: Message, outcome: Outcome, took: number, error?: Error) => void
}

/** How an attempt ended. It is retried also if no dead letter could be stored. */
export type Outcome = 'handled' | 'retried' | 'dead'

export type Settings = Required<Omit<Options, 'since' | 'signal' | 'observer'>> & Options & {
  deadStream: string
  logged: Map<string, number> // failures since the last pull that succeeded, and when each was logged last
}

const most = 2 ** 31 - 1 // Node's timers take 32 bits of ms: a longer time would be 1 ms

/** Returns the options with the defaults. It throws if an option can't be right. */
export function withDefaults(options: Options): Settings {
  if (!options.durable || /[\s.*>/\\]/.test(options.durable)) { // nats-server refuses these too
    throw new TypeError(`options.durable is ${JSON.stringify(options.durable)}: give a name without space, dot, wildcard or slash`)
  }
  const wrong = options.filters?.find((filter) => filter.split('.').includes('')) // nats-server doesn't answer, or gives everything
  if (wrong !== undefined) throw new TypeError(`options.filters has ${JSON.stringify(wrong)}, which is no subject: a token of it is empty`)
  for (const name of ['concurrency', 'ackWait', 'timeout', 'maxAttempts', 'backoff', 'shutdownTimeout'] as const) {
    const value = options[name]
    if (value !== undefined && !(value > 0 && value <= most)) {
      throw new TypeError(`options.${name} is ${value}: give a number above 0, at most ${most}`)
    }
  }
  if (Number.isNaN(options.since?.getTime())) throw new TypeError('options.since is no valid date: give one, or none')
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Options
  return {
    stream: 'WEBHOOKS', subjectPrefix: 'webhooks', filters: [], makeDeadStream: false,
    concurrency: 1, ackWait: 30_000, timeout: 300_000, maxAttempts: 10, backoff: 1_000, shutdownTimeout: 30_000,
    logger: console,
    ...given,
    deadStream: `${(given.stream ?? 'WEBHOOKS').replace(/_DEAD$/, '')}_DEAD`, // dead letters can be consumed, too
    logged: new Map(),
  }
}
