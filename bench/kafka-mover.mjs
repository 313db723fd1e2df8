// Moves one topic to another cluster with the engine that a processor host runs, and nothing else in its process.
import { Engine } from '@fnaa/processor-host'

const { from, to, topic, exactly } = JSON.parse(process.argv[2])
const driver = import.meta.resolve('@fnaa/broker-kafka/driver')
const port = (name, servers, more) => ({
  name,
  endpoint: { type: 'kafka', servers, queue: topic },
  driver,
  foreign: false,
  ...more,
})
const run = {
  id: `bench-${topic}`,
  epoch: 1,
  program: new URL('../plugins/processor-bridge/dist/program.js', import.meta.url).href,
  config: {},
  sources: [port('a', from, { from: { at: 'earliest' } })],
  sinks: [port('b', to)],
  desired: 'run',
  guarantee: exactly ? 'exactly-once' : 'at-least-once',
  network: { servers: [], trustAd: false, allow: [] },
}
const log = { debug() {}, info() {}, warn: console.error, error: console.error }
const engine = new Engine({ run, secrets: {} }, log, status => {
  if (status.phase === 'failed') console.error(status.error)
})
engine.start()
console.log('started')
