// Moves one topic to another cluster with the engine that a processor host runs, and nothing else in its process.
import { operatorsDial } from '@fnaa/core/plugin'
import { Engine } from '@fnaa/processor-host'

const { from, to, topic, into = topic, sinks, exactly } = JSON.parse(process.argv[2])
const driver = import.meta.resolve('@fnaa/broker-kafka/driver')
const port = (name, servers, queue, more) => ({
  name,
  endpoint: { type: 'kafka', servers, queue },
  driver,
  foreign: false,
  ...more,
})
const earliest = { from: { at: 'earliest' } }
const log = { debug() {}, info() {}, warn: console.error, error: console.error }
// With places of their own, as the subscribers of one flow have them: the Distributor's work.
const start = sinks && { from: { at: 'position', position: await beginning() } }
const run = {
  id: `bench-${into}`,
  epoch: 1,
  program: new URL('../../plugins/processor-bridge/dist/program.js', import.meta.url).href,
  config: {},
  sources: [port('a', from, topic, earliest)],
  sinks: sinks ? sinks.map(name => port(name, to, name, start)) : [port('b', to, into)],
  desired: 'run',
  guarantee: exactly ? 'exactly-once' : 'at-least-once',
  network: { servers: [], trustAd: false, allow: [] },
}
const engine = new Engine({ run, secrets: {} }, log, status => {
  if (status.phase === 'failed') console.error(status.error)
})
engine.start()

async function beginning() {
  const c = { signal: new AbortController().signal }
  const { default: kafka } = await import(driver)
  const wire = await kafka.open(
    { type: 'kafka', servers: from, queue: topic },
    null,
    { dial: operatorsDial, foreign: false, log },
    c,
  )
  const source = await wire.source({ reader: 'beginning', epoch: 0, from: { at: 'earliest' } }, c)
  const position = await source.position(c)
  wire.close()
  return position
}
