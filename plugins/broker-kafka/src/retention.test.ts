import { call } from '@fnaa/conformance'
import { type Batch, batchOf, encodeBatch, type FlowEvent } from '@fnaa/protocol'
import t from 'tap'
import { oneCluster, topicsOf } from './cluster.test.helper.js'
import { opened, sinkOf, sourceOf } from './driver.test.helper.js'

// Hardening H32 at a real cluster: what strangers say of the time is held inside what their topic's readers are promised.
const HOUR = 3_600_000
const DAY = 24 * HOUR
const c = call()
const cluster = await oneCluster({ secure: true })
if (cluster) {
  const { admin, create } = await topicsOf(cluster)
  const event = (timestamp: number): FlowEvent => ({ key: null, value: Buffer.from('v'), headers: [], timestamp })
  const batch = (times: readonly number[], opt: { stranger: boolean }): Batch =>
    batchOf({
      shard: '0',
      last: '',
      bytes: encodeBatch(times.map(event), { codec: 'lz4' }),
      ...(opt.stranger && { oldest: Math.min(...times) }),
    })

  /** The time stamps of a topic from its beginning. */
  async function timesOf(queue: string, n: number): Promise<number[]> {
    const wire = await opened({ servers: cluster!.servers, queue })
    const source = await sourceOf(wire)
    const times: number[] = []
    for await (const piece of source.read(c)) {
      if (!('reason' in piece)) times.push(...[...piece.events({ bytes: 1 << 20 })].map(e => e.timestamp))
      if (times.length >= n) break
    }
    await source.close()
    await wire.close()
    return times
  }

  t.test('a stranger’s time stamps, and our own', async t => {
    await create('kept', { 'retention.ms': String(7 * DAY) })
    const wire = await opened({ servers: cluster.servers, queue: 'kept' })
    t.teardown(() => wire.close())
    const sink = await sinkOf(wire)
    const now = Date.now()
    const wild = [Date.UTC(1970, 0, 2), now - DAY, now, now + 2 * HOUR, Date.UTC(3000, 0, 1)]
    t.equal((await sink.write(batch(wild, { stranger: true }), {}, c)).tier, 'decoded')
    t.equal((await sink.write(batch([now - DAY, now], { stranger: true }), {}, c)).tier, 'raw', 'nothing to be moved')
    t.equal((await sink.write(batch([Date.UTC(1970, 0, 2)], { stranger: false }), {}, c)).tier, 'raw', 'ours stay')
    const [past, yesterday, then, soon, future, ...rest] = await timesOf('kept', 8)
    t.ok(past! >= now - 7 * DAY && past! < now - 6 * DAY, 'as old as its topic keeps')
    t.same([yesterday, then], [now - DAY, now])
    for (const time of [soon, future])
      t.ok(time! > now && time! < now + HOUR, 'no further ahead than its broker takes (an hour, since Kafka 4)')
    t.same(rest, [now - DAY, now, Date.UTC(1970, 0, 2)])
  })

  t.test('so in transactions', async t => {
    await create('exact', { 'retention.ms': String(7 * DAY) })
    const wire = await opened({ servers: cluster.servers, queue: 'exact' })
    t.teardown(() => wire.close())
    const now = Date.now()
    const sink = await sinkOf(wire, 'exact')
    await sink.write(
      { ...batch([1, now], { stranger: true }), last: '2' },
      { exactly: { reader: 'source', epoch: 'e' } },
      c,
    )
    const [past, then] = await timesOf('exact', 2)
    t.ok(past! >= now - 7 * DAY)
    t.equal(then, now)
  })

  t.test('topics that keep all, only compact, or note their own time', async t => {
    for (const [topic, config] of Object.entries<Readonly<Record<string, string>>>({
      all: { 'retention.ms': '-1' },
      compact: { 'cleanup.policy': 'compact', 'retention.ms': '1000' },
      append: { 'message.timestamp.type': 'LogAppendTime', 'retention.ms': String(DAY) },
    })) {
      await create(topic, config)
      const wire = await opened({ servers: cluster.servers, queue: topic })
      t.teardown(() => wire.close())
      const sink = await sinkOf(wire)
      const now = Date.now()
      const keyed = batchOf({
        shard: '0',
        last: '',
        oldest: 5,
        bytes: encodeBatch([5, now].map((at, i) => ({ ...event(at), key: Buffer.from(String(i)) }))),
      })
      t.equal((await sink.write(keyed, {}, c)).tier, 'raw', topic)
      const [first] = await timesOf(topic, 2)
      if (topic === 'append') t.ok(first! >= now, 'its broker’s own time')
      else t.equal(first, 5, topic)
    }
  })

  t.test('who may not ask what the topic keeps is not held up by what its brokers refuse', async t => {
    await create('unknown', { 'retention.ms': String(DAY) })
    const values = { user: 'weak', password: 'weak-password' }
    const scram = ['--alter', '--entity-type', 'users', '--entity-name', values.user]
    await cluster.tool('kafka-configs', [...scram, '--add-config', `SCRAM-SHA-256=[password=${values.password}]`])
    const may = ['--operation', 'Write', '--operation', 'Describe', '--topic', 'unknown']
    await cluster.tool('kafka-acls', ['--add', '--allow-principal', `User:${values.user}`, ...may])
    const endpoint = { servers: cluster.secureServers, queue: 'unknown', tls: { ca: cluster.ca! } }
    const wire = await opened(endpoint, { mechanism: 'SCRAM-SHA-256', values })
    t.teardown(() => wire.close())
    const sink = await wire.sink({ writer: 'w', epoch: 0 }, c)
    const now = Date.now()
    await sink.write(batch([9, now, now + 2 * HOUR], { stranger: true }), {}, c)
    const [past, then, soon] = await timesOf('unknown', 3)
    t.same([past, then], [9, now], 'how long it keeps them is not known')
    t.ok(soon! > now && soon! < now + HOUR)
  })

  t.test('what the topic keeps is asked for again after a minute', async t => {
    await create('changed', { 'retention.ms': '-1' })
    const wire = await opened({ servers: cluster.servers, queue: 'changed' })
    t.teardown(() => wire.close())
    const sink = await sinkOf(wire)
    const now = Date.now()
    await sink.write(batch([7, now], { stranger: true }), {}, c)
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: 2, name: 'changed', configEntries: [{ name: 'retention.ms', value: String(DAY) }] }],
    })
    const real = performance.now
    t.teardown(() => {
      performance.now = real
    })
    performance.now = () => real.call(performance) + 61_000
    let written = 2
    // The first of them makes it ask; nobody waits for the answer.
    for (let moved = false; !moved; ) {
      const { tier } = await sink.write(batch([8, now], { stranger: true }), {}, c)
      moved = tier === 'decoded'
      written += 2
    }
    const times = await timesOf('changed', written)
    t.equal(times[0], 7)
    t.ok(times.at(-2)! >= now - DAY)
  })
}
