// The consumer, but for the moment in which it is killed.
import { consume } from '../consumer.js'
import { log, start } from '../main.js'

const kill = () => process.kill(process.pid, 'SIGKILL')
const deadly = {
  'before the ack': (message) => { message.ack = kill },
  'by the event': (message) => { if (message.info.deliveryCount <= 2 && message.string().includes('killer')) kill() },
}[process.env.KILLED]

const { consumer, from } = await start()
await consume(from, async (message) => {
  deadly(message)
  await consumer.handle(message)
}, new AbortController().signal, log)
