import { JetStreamApiError, StorageType } from '@nats-io/jetstream'
import { headers } from '@nats-io/transport-node'

// Dead letters are in a stream of their own, each durable consumer's on a subject of its own.
const stream = 'WEBHOOKS_DEAD'
const prefix = 'webhooks-dead.'
const nameInUse = 10058 // JetStream's code: it is there, and made differently

// makeDeadLetters makes the stream of dead letters where it is missing. One that is there is left as
// it is.
export async function makeDeadLetters(manager) {
  try {
    await manager.streams.add({ name: stream, subjects: [`${prefix}>`], storage: StorageType.File })
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== nameInUse) throw error
  }
}

// publishDeadLetter returns once the message is among the dead letters.
export async function publishDeadLetter(js, durable, message, why) {
  // Not all of the message's headers: Nats-Expected-Stream would have the server refuse it here.
  const dead = headers()
  dead.set('Content-Type', message.headers?.get('Content-Type') ?? '')
  dead.set('Dead-Subject', message.subject)
  dead.set('Dead-Sequence', String(message.seq))
  dead.set('Dead-Reason', why.message)
  await js.publish(prefix + durable, message.data, { headers: dead, msgID: `${message.info.stream}/${durable}/${message.seq}` })
}
