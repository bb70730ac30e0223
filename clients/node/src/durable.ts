import {
  AckPolicy, type Consumer, type ConsumerConfig, type ConsumerInfo, DeliverPolicy, type JetStreamApiError, type JetStreamClient,
  type JetStreamManager, StorageType,
} from '@nats-io/jetstream'
import { nanos } from '@nats-io/nats-core'
import type { Settings } from './options.js'

/** JetStream's error codes. */
export const codes = { unavailable: 10008, consumerNotFound: 10014, consumerExists: 10148, streamNotFound: 10059, streamNameInUse: 10058 }

/** Compares codes, not classes: the user may have another copy of the package. */
export const isCode = (error: unknown, ...wanted: number[]): boolean =>
  error instanceof Error && wanted.includes((error as JetStreamApiError).code)

/** Finds or makes the consumer, and the stream of dead letters if that is wanted. */
export async function begin(js: JetStreamClient, s: Settings): Promise<Consumer> {
  const manager = await js.jetstreamManager(false) // without a look at the account, which needs a right of its own
  if (s.makeDeadStream) {
    try {
      await manager.streams.add({ name: s.deadStream, subjects: [`${s.subjectPrefix}-dead.>`], storage: StorageType.File })
    } catch (error) { // one that exists is left as it is
      if (!isCode(error, codes.streamNameInUse)) throw cannot(`making stream ${s.deadStream}`, error)
    }
  }
  return durable(js, manager, s)
}

/** Reports whether waiting may mend an error of begin: NATS is away, or JetStream starts. */
export const isAway = (error: unknown): boolean => error instanceof Error &&
  (['TimeoutError', 'NoRespondersError'].includes(error.name) || isCode(error, codes.unavailable) || isAway(error.cause))

/**
 * Finds the consumer, or makes it. It changes settings of later deliveries to what run needs, but never the
 * filter or the kind of acknowledgement: then the error tells what to do.
 */
async function durable(js: JetStreamClient, manager: JetStreamManager, s: Settings): Promise<Consumer> {
  const wanted: Partial<ConsumerConfig> = {
    durable_name: s.durable,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(s.ackWait),
    max_deliver: -1, // the worker counts: the server would drop an event that is neither handled nor a dead letter
    ...(s.filters.length === 1 ? { filter_subject: s.filters[0]! } : s.filters.length > 1 ? { filter_subjects: s.filters } : {}),
    ...(s.since ? { deliver_policy: DeliverPolicy.StartTime, opt_start_time: s.since.toISOString() } : {}),
  }
  const { config: is } = await findOrMake(manager, s, wanted)
  const conflict = (what: string, is: unknown, wanted: unknown) => new Error(
    `consumer ${s.durable} of stream ${s.stream} exists, and its ${what} is ${is} instead of ${wanted}: give another durable, or, ` +
    `if its position may be lost: nats consumer rm ${s.stream} ${s.durable}`)
  if (is.deliver_subject) throw conflict('kind', 'push', 'pull')
  if (`${filters(is)}` !== `${filters(wanted)}`) throw conflict('filter', filters(is), filters(wanted))
  if (is.ack_policy !== wanted.ack_policy) throw conflict('ack policy', is.ack_policy, wanted.ack_policy)
  if (is.ack_wait !== wanted.ack_wait || is.max_deliver !== -1 || is.backoff?.length || is.headers_only) {
    s.logger.info('changing the consumer', { durable: s.durable, ackWait: s.ackWait, maxDeliver: -1 })
    await manager.consumers.update(s.stream, s.durable, { ack_wait: nanos(s.ackWait), max_deliver: -1, backoff: [], headers_only: false })
  }
  return js.consumers.get(s.stream, s.durable)
}

async function findOrMake(manager: JetStreamManager, s: Settings, wanted: Partial<ConsumerConfig>): Promise<ConsumerInfo> {
  try {
    return await manager.consumers.info(s.stream, s.durable)
  } catch (error) {
    if (!isCode(error, codes.consumerNotFound)) throw cannot(`finding consumer ${s.durable} of stream ${s.stream}`, error)
  }
  try {
    return await manager.consumers.add(s.stream, wanted)
  } catch (error) {
    if (!isCode(error, codes.consumerExists)) throw cannot(`making consumer ${s.durable} of stream ${s.stream}`, error)
  }
  return manager.consumers.info(s.stream, s.durable) // another worker was faster, with another since
}

/** Returns the error of what couldn't be done. */
function cannot(what: string, cause: unknown): Error {
  const { message, cause: first } = cause as Error
  const hint = (first as Error | undefined)?.name === 'PermissionViolationError' ? ' (see docs/consumers.md)' : ''
  return new Error(`${what}: ${message}${hint}`, { cause })
}

function filters(c: Partial<ConsumerConfig>): string[] {
  return [...(c.filter_subjects ?? []), c.filter_subject ?? ''].filter((subject) => subject !== '').sort()
}
