import { unavailable } from '@fnaa/services'
import t from 'tap'
import { Load, leaderOf, lost, seenIn } from './support/kafka-load.js'
import { done, parties, shows } from './support/kafka-parties.js'

// What happens to a cluster of three brokers in a year, in a minute, while 1,000 events a second run through it: nobody dies, and
// nobody notices.
const skip = unavailable() ?? false
const FLOW = 'year.flows.unix.test'
const LOCAL = 'year.flows.emiliano.test'
const SAFE = 'safe.flows.unix.test'
const SHARDS = 2

t.test('leaders move, a broker hangs, all of them are restarted in turn', { skip, timeout: 280_000 }, async t => {
  const { a, b, source, target } = await parties(t, { guarantee: 'exactly-once', source: { nodes: 3 } })
  await done(a, `CREATE FLOW ${FLOW} BROKER broker-kafka SHARDS ${SHARDS} VISIBILITY public`)
  await done(b, `CREATE FLOW ${LOCAL} BROKER broker-kafka SHARDS ${SHARDS}`)
  await done(b, `SUBSCRIBE ${FLOW} LOCAL ${LOCAL} MODE direct FROM earliest`)
  // In the same cluster, and only while all three brokers have it.
  await done(a, `CREATE FLOW ${SAFE} BROKER broker-kafka SHARDS ${SHARDS}`)
  const all = ['--alter', '--entity-type', 'topics', '--entity-name', SAFE, '--add-config', 'min.insync.replicas=3']
  t.match(await source.tool('kafka-configs', all), { code: 0 })
  await done(a, `REPLICATE ${FLOW} ${SAFE} FROM earliest`)
  const load = new Load(source, FLOW, SHARDS, 1000)
  load.start()
  const leader = async () => {
    for (;;) {
      const found = await leaderOf(source, FLOW, 0)
      if (found !== null) return found
    }
  }
  /** All that was written is there, and goes on coming. */
  const flows = () =>
    shows(b, 'GET SUBSCRIPTIONS', s => s['phase'] === 'active' && Number(s['lag-events']) < 2000 && !s['error'])

  await t.test('leaders move', async t => {
    await load.more(1000)
    const before = await leader()
    const replicas = [1, 2, 3].filter(n => n !== before)
    const partitions = Array.from({ length: SHARDS }, (_, partition) => ({
      topic: FLOW,
      partition,
      replicas: [...replicas, before],
    }))
    const plan = ['--reassignment-json-file', '/dev/stdin', '--execute']
    const input = JSON.stringify({ version: 1, partitions })
    t.match(await source.tool('kafka-reassign-partitions', plan, { input }), { code: 0 })
    const elect = ['--election-type', 'preferred', '--all-topic-partitions']
    t.match(await source.tool('kafka-leader-election', elect), { code: 0 })
    t.not(await leader(), before, 'another one leads')
    await load.more(1000)
    await flows()
  })

  await t.test('a broker hangs without closing', async t => {
    const node = source.node(await leader())
    node.pause()
    const began = Date.now()
    await load.more(2000)
    await flows()
    // Three seconds until the cluster sees it, ten until a request to it is given up.
    t.ok(Date.now() - began < 25_000, `went on after ${Date.now() - began} ms`)
    node.resume()
    await load.more(1000)
  })

  await t.test('the brokers are restarted, one after another', async t => {
    for (const n of [1, 2, 3]) {
      await source.node(n).kill('SIGTERM')
      if (n === 1) {
        const refused = /^FNA_ERR_UNAVAILABLE .*NOT_ENOUGH_REPLICAS/
        const p = await shows(a, 'GET PROCESSORS', s => s['sinks'] === SAFE && refused.test(s['error'] ?? ''))
        t.match(p['phase'], /running|failed|starting/, 'who wants three copies waits for the third')
      }
      await source.node(n).start()
      await load.more(500)
    }
    await flows()
  })

  await load.stop()
  await shows(b, 'GET SUBSCRIPTIONS', s => s['phase'] === 'active' && s['lag-events'] === '0')
  await shows(a, 'GET PROCESSORS', s => s['sinks'] === SAFE && s['phase'] === 'running' && !s['error'])
  const [there, here] = await Promise.all([seenIn(source, FLOW), seenIn(target, LOCAL)])
  let safe = await seenIn(source, SAFE)
  for (let tries = 0; tries < 5 && lost(load.ledger, safe) > 0; tries++) safe = await seenIn(source, SAFE)
  t.comment(`${load.acknowledged} acknowledged, ${there.duplicates} repeated by the producer`)
  t.equal(lost(load.ledger, there), 0, 'the cluster has lost none')
  t.same([...here.wrong, ...safe.wrong], [], 'each key in its order')
  t.equal(lost(load.ledger, safe), 0, 'what waited for three copies is there')
  t.same(here.partitions, there.partitions, 'event by event what stands in the source')
})
