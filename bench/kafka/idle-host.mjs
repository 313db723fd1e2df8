// One process with an engine for each topic, as a processor host has one for each subscription. Says when all of them run.
import { Engine } from '@fnaa/processor-host'
import kafkajs from 'kafkajs'

const { from, to, topics } = JSON.parse(process.argv[2])
const { Kafka, logLevel } = kafkajs
for (const brokers of [from, to]) {
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING, requestTimeout: 120_000 }).admin()
  await admin.connect()
  for (let at = 0; at < topics.length; at += 100)
    await admin.createTopics({
      timeout: 100_000,
      waitForLeaders: false,
      topics: topics.slice(at, at + 100).map(topic => ({ topic, numPartitions: 1 })),
    })
  await admin.disconnect()
}
const driver = import.meta.resolve('@fnaa/broker-kafka/driver')
const program = new URL('../../plugins/processor-bridge/dist/program.js', import.meta.url).href
const port = (name, servers, queue) => ({
  name,
  endpoint: { type: 'kafka', servers, queue },
  driver,
  foreign: false,
  from: name === 'a' ? { at: 'latest' } : undefined,
})
const log = { debug() {}, info() {}, warn: console.error, error: console.error }
let waiting = topics.length
const begin = topic =>
  new Promise(resolve => {
    const run = {
      id: `idle-${topic}`,
      epoch: 1,
      program,
      config: {},
      sources: [port('a', from, topic)],
      sinks: [port('b', to, topic)],
      desired: 'run',
      guarantee: 'at-least-once',
      network: { servers: [], trustAd: false, allow: [] },
    }
    const engine = new Engine({ run, secrets: {} }, log, status => {
      if (status.phase === 'failed') console.error(status.error)
      if (status.phase !== 'starting') resolve()
    })
    engine.start()
  })
const queue = [...topics]
await Promise.all(
  Array.from({ length: 20 }, async () => {
    for (let topic = queue.shift(); topic; topic = queue.shift()) {
      await begin(topic)
      waiting--
    }
  }),
)
console.log(waiting)
