import { AckPolicy, DeliverPolicy, StorageType } from '@nats-io/jetstream'
import type { Consumer, ConsumerConfig, JetStreamApiError, JetStreamClient, JetStreamManager } from '@nats-io/jetstream'
import { nanos } from '@nats-io/nats-core'
import type { Settings } from './options.js'

/** JetStream's error codes. */
export const codes = {
  noPeers: 10005, unavailable: 10008, consumerNotFound: 10014, messageTooLarge: 10054, streamNameInUse: 10058,
  streamNotFound: 10059, consumerExists: 10148,
}

/** Compares codes, not classes: the user may have another copy of the package. */
export const isCode = (error: unknown, ...wanted: number[]): boolean =>
  error instanceof Error && wanted.includes((error as JetStreamApiError).code)

/** Reports whether a right to publish is missing. */
export const isDenied = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'PermissionViolationError' || isDenied(error.cause))

/** Finds or makes the consumer, and the stream of dead letters if that is wanted. */
export async function begin(js: JetStreamClient, s: Settings): Promise<Consumer> {
  const manager = await js.jetstreamManager(false) // without a look at the account, which needs a right of its own
  const from = await durable(js, manager, s)
  if (s.makeDeadStream) {
    const { cluster } = await from.info(true)
    const wanted = {
      name: s.deadStream, subjects: [`${s.subjectPrefix}-dead.>`], storage: StorageType.File,
      num_replicas: 1 + (cluster?.replicas?.length ?? 0), // as the consumer has, by default those of the events
    }
    await manager.streams.add(wanted).catch((error: unknown) => {
      if (!isCode(error, codes.streamNameInUse)) throw cannot(`making stream ${s.deadStream}`, error) // one that exists is left as it is
    })
  }
  return from
}

/**
 * Reports whether waiting may mend an error of begin: NATS or the stream is away, JetStream starts, a server that
 * a replica needs is down, or a worker was faster.
 */
export const isAway = (error: unknown): boolean => error instanceof Error && (['TimeoutError', 'NoRespondersError'].includes(error.name) ||
  isCode(error, codes.noPeers, codes.unavailable, codes.streamNotFound, codes.consumerExists) || isAway(error.cause))

/**
 * Finds the consumer, or makes it. It changes settings of later deliveries to what run needs, but never the
 * filter or the kind of acknowledgement: then the error tells what to do.
 */
async function durable(js: JetStreamClient, manager: JetStreamManager, s: Settings): Promise<Consumer> {
  const wanted: Partial<ConsumerConfig> = {
    durable_name: s.durable, ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(s.ackWait),
    max_ack_pending: -1, // at the default, 1000 failed events that wait for their next attempt would block all others
    max_deliver: -1, // the worker counts: the server would drop an event that is neither handled nor a dead letter
    ...(s.filters.length === 1 ? { filter_subject: s.filters[0]! } : s.filters.length > 1 ? { filter_subjects: s.filters } : {}),
    ...(s.since ? { deliver_policy: DeliverPolicy.StartTime, opt_start_time: s.since.toISOString() } : {}),
  }
  const { config: is } = await manager.consumers.info(s.stream, s.durable).catch((error: unknown) => {
    if (isCode(error, codes.consumerNotFound)) return manager.consumers.add(s.stream, wanted)
    throw error
  }).catch((error: unknown) => { throw cannot(`finding or making consumer ${s.durable} of stream ${s.stream}`, error) })
  const [has, needs] = [describe(is), describe(wanted)]
  if (has !== needs) {
    throw new Error(`consumer ${s.durable} of stream ${s.stream} exists and ${has}, but run needs one that ${needs}: ` +
      `give another durable, or, if its position may be lost: nats consumer rm ${s.stream} ${s.durable}`)
  }
  if (is.ack_wait !== wanted.ack_wait || is.max_deliver !== -1 || is.backoff?.length || is.headers_only) {
    s.logger.info('changing the consumer', { durable: s.durable, ackWait: s.ackWait, maxDeliver: -1 })
    await manager.consumers.update(s.stream, s.durable, { ack_wait: nanos(s.ackWait), max_deliver: -1, backoff: [], headers_only: false })
  }
  return js.consumers.get(s.stream, s.durable)
}

/** Returns the error of what couldn't be done. */
function cannot(what: string, cause: unknown): Error {
  return new Error(`${what}: ${(cause as Error).message}${isDenied(cause) ? ' (see docs/consumers.md)' : ''}`, { cause })
}

/** Describes those settings of a consumer that run doesn't change. */
function describe(c: Partial<ConsumerConfig>): string {
  if (c.deliver_subject) return 'is a push consumer'
  const filters = [...(c.filter_subjects ?? []), c.filter_subject].filter(Boolean).sort()
  return `has the filters ${JSON.stringify(filters)} and the ack policy ${c.ack_policy}`
}
