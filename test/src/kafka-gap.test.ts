import { unavailable } from '@fnaa/services'
import { Kafka as Client, logLevel } from 'kafkajs'
import t from 'tap'
import { done, parties, shows } from './support/kafka-parties.js'

const skip = unavailable() ?? false
const FLOW = 'time.flows.unix.test'
const LOCAL = 'time.flows.emiliano.test'

t.test('F18: events that the feed of a copy has missed are a gap on both sides', { skip }, async t => {
  const all = await parties(t, { source: { nodes: 1 } })
  await done(all.a, `CREATE FLOW ${FLOW} BROKER broker-kafka VISIBILITY public`)
  await done(all.b, `CREATE FLOW ${LOCAL} BROKER broker-kafka`)
  await done(all.b, `SUBSCRIBE ${FLOW} LOCAL ${LOCAL} MODE copy FROM earliest`)
  const shown = (is: (s: Readonly<Record<string, string>>) => boolean) => shows(all.b, 'GET SUBSCRIPTIONS', is)
  const { subscription } = await shown(s => s['phase'] === 'active')
  const producer = new Client({ brokers: [...all.source.servers], logLevel: logLevel.NOTHING }).producer()
  await producer.connect()
  t.teardown(() => producer.disconnect())
  const write = (...values: string[]) =>
    producer.send({ topic: FLOW, acks: -1, messages: values.map(value => ({ key: 'k', value })) })
  await write('one')
  await shown(s => s['lag-events'] === '0')
  // Answered when the feed is off, so that the copy gets none of the next three.
  await done(all.b, `STOP SUBSCRIPTION ${subscription}`)
  await write('two', 'three', 'four')
  const input = JSON.stringify({ version: 1, partitions: [{ topic: FLOW, partition: 0, offset: 3 }] })
  await all.source.tool('kafka-delete-records', ['--offset-json-file', '/dev/stdin'], { input })
  await done(all.b, `RESUME SUBSCRIPTION ${subscription}`)
  const now = await shown(s => s['phase'] === 'active' && s['gaps'] !== '0')
  t.equal(now['gaps'], '1', 'told to who subscribed')
  const line = (await done(all.a, `GET SUBSCRIBERS ${FLOW}`)).lines?.[0]
  t.match(line, / gaps=1$/, 'and to who owns the flow')
})
