import { setTimeout } from 'node:timers/promises'
import { AckPolicy, DeliverPolicy, JetStreamApiError } from '@nats-io/jetstream'
import { nanos } from '@nats-io/transport-node'
import { HTTP } from 'cloudevents'
import { publishDeadLetter } from './deadletter.js'
import { Poison, reward } from './reward.js'

// How many messages a worker holds. The ack wait of each runs from when it was sent here, so all of
// them must be handled within it.
const prefetch = 16

// subscribe makes the durable consumer, or finds it as it was made. It begins with the oldest event
// of the stream, or with what was stored since a time.
export async function subscribe(js, manager, settings) {
  const wanted = {
    durable_name: settings.durable,
    filter_subject: settings.filter,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(settings.ackWait),
    // For the server a message is never beyond hope: handle counts, so that none is left behind
    // which is neither handled nor a dead letter.
    max_deliver: -1,
  }
  if (settings.since) Object.assign(wanted, { deliver_policy: DeliverPolicy.StartTime, opt_start_time: settings.since })
  await manager.consumers.add(settings.stream, wanted)
  return js.consumers.get(settings.stream, settings.durable)
}

// consume hands over messages, one at a time, until the signal; those that this worker has asked for by
// then are handled too. (The client's own consume drops them, and others get them after the ack wait.)
export async function consume(consumer, handle, signal, log) {
  while (!signal.aborted) {
    try {
      for await (const message of await consumer.fetch({ max_messages: prefetch, expires: 2_000 })) await handle(message)
    } catch (error) {
      log('fetching', { error: error.message })
      await exists(consumer)
      await setTimeout(1_000)
    }
  }
}

// exists throws when the consumer was deleted; while nobody answers it passes.
async function exists(consumer) {
  const failure = await consumer.info().catch((error) => error)
  if (failure instanceof JetStreamApiError) throw failure
}

export class Consumer {
  constructor({ js, store, settings, log }) {
    Object.assign(this, { js, store, settings, log })
  }

  // handle handles one message. Its end is an acknowledgement, a later try, or a dead letter.
  async handle(message) {
    const { tries, pause } = this.settings
    const count = message.info.deliveryCount
    const about = { subject: message.subject, sequence: message.seq, try: count }

    // Looked at before the event is: one that kills its worker has no end to be counted at.
    if (count > tries) return this.bury(message, new Poison(`tried ${tries} times`), about)
    try {
      const event = parse(message)
      const first = this.store.once(event.id, (db) => reward(db, event))
      this.log('handled', { ...about, id: event.id, first })
    } catch (error) {
      if (error instanceof Poison || count === tries) return this.bury(message, error, about)
      return this.later(message, pause * 2 ** (count - 1), error, about)
    }
    message.ack() // if it is lost, the message comes again, and its id is known
  }

  // later has the message come again after a pause. Others come meanwhile.
  later(message, pause, error, about) {
    this.log('to be tried again', { ...about, error: error.message, pause })
    message.nak(pause)
  }

  // bury puts the message among the dead letters, and only once it is there has the server send it no
  // more.
  async bury(message, error, about) {
    try {
      await publishDeadLetter(this.js, this.settings.durable, message, error)
    } catch (failure) {
      return this.later(message, this.settings.pause, failure, about)
    }
    this.log('dead letter', { ...about, reason: error.message })
    message.term()
  }
}

// parse reads the CloudEvent, by its SDK.
function parse(message) {
  try {
    const event = HTTP.toEvent({ headers: { 'content-type': message.headers?.get('Content-Type') }, body: message.string() })
    event.validate() // throws
    return event
  } catch {
    throw new Poison("can't be handled: not a CloudEvent") // the SDK's own words may have the event in them
  }
}
