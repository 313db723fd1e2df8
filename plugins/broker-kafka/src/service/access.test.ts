import { call, fails, harness } from '@fnaa/conformance'
import type { BrokerService, Credential, Endpoint } from '@fnaa/core/plugin'
import { batchOf, encodeBatch } from '@fnaa/protocol'
import { startKafka } from '@fnaa/services'
import { test } from 'tap'
import { isolated, oneCluster, reaching, secure, skip } from '../cluster.test.helper.js'
import { FIRST } from './access.js'

// Quotas count over two seconds instead of eleven.
const cluster = await oneCluster({ secure: true, settings: { 'quota.window.num': 2 } })
const c = call()
const event = (value: string) =>
  batchOf({
    shard: '0',
    last: '',
    bytes: encodeBatch([{ key: null, value: Buffer.from(value), headers: [], timestamp: Date.now() }]),
  })

async function started(t: { teardown(fn: () => unknown): void }, options = secure(cluster!)) {
  const h = await harness(isolated(options), { driver: reaching })
  t.teardown(() => h.close())
  const service = h.service as BrokerService
  const queue = async (flow: string) => {
    const name = service.queueFor(flow)
    await service.createQueue(name, {}, c)
    return name
  }
  const open = (at: { endpoint: Endpoint; credential: Credential | null }) =>
    h.driver!.open(at.endpoint, at.credential, { log: h.ctx.log, dial: h.ctx.dial, foreign: false }, c)
  return { service, queue, open }
}

if (cluster) {
  test('a credential reads its topic and nothing else, until it is revoked, with the connection open', async t => {
    const { service, queue, open } = await started(t)
    const [mine, other] = [await queue('a.unix.test'), await queue('b.unix.test')]
    const own = await open(service.internal(mine))
    await (await own.sink({ writer: 'w', epoch: 0 }, c)).write(event('1'), {}, c)
    const given = await service.grant({ id: 'reader', queue: mine, rights: ['read'] }, c)
    t.equal(given.endpoint.reader, 'fnaad-reader')
    const wire = await open(given)
    // With an epoch, so that the position is kept: in a group of its own.
    const source = await wire.source({ reader: 'r', epoch: 1, from: { at: 'earliest' } }, c)
    const reading = source.read(c)[Symbol.asyncIterator]()
    t.notOk((await reading.next()).done)
    await fails('FNA_ERR_DENIED', open({ ...given, endpoint: { ...given.endpoint, queue: other } }))
    for (const epoch of [0, 1]) await fails('FNA_ERR_DENIED', wire.sink({ writer: 'w', epoch }, c))
    const next = fails('FNA_ERR_DENIED', () => reading.next())
    const before = performance.now()
    t.equal(await service.revoke('reader', c), 'revoked')
    await next
    t.ok(performance.now() - before < 5_000, 'within five seconds')
    await fails('FNA_ERR_DENIED', open(given))
    await wire.close()
    await own.close()
  })

  test('who may only write: each run of it, and one that was replaced never again', async t => {
    const { service, queue, open } = await started(t)
    const q = await queue('w.unix.test')
    const given = await service.grant({ id: 'writer', queue: q, rights: ['write'] }, c)
    const wires = await Promise.all([open(given), open(given)])
    const [old, now] = [await wires[0]!.sink({ writer: 'w', epoch: 1 }, c), wires[1]!]
    await old.write(event('1'), {}, c)
    const next = await now.sink({ writer: 'w', epoch: 2 }, c)
    await next.write(event('2'), {}, c)
    await fails('FNA_ERR_FENCED', old.write(event('late'), {}, c))
    await next.write(event('3'), {}, c)
    const own = await open(service.internal(q))
    const source = await own.source({ reader: 'r', epoch: 0, from: { at: 'earliest' } }, c)
    const seen: string[] = []
    for await (const piece of source.read(c)) {
      if (!('reason' in piece)) for (const e of piece.events({ bytes: 1000 })) seen.push(String(e.value))
      if (seen.includes('3')) break
    }
    t.strictSame(seen, ['1', '2', '3'])
    for (const wire of [...wires, own]) await wire.close()
  })

  test('a grant that is repeated with other rights has those, with the same password', async t => {
    const { service, queue, open } = await started(t)
    const q = await queue('f.unix.test')
    const reading = await service.grant({ id: 'two', queue: q, rights: ['read'] }, c)
    const writing = await service.grant({ id: 'two', queue: q, rights: ['write'] }, c)
    t.strictSame(reading, writing)
    const wire = await open(writing)
    t.match(await (await wire.sink({ writer: 'w', epoch: 0 }, c)).write(event('1'), {}, c), { cursor: /\d/ })
    await wire.close()
    await fails('FNA_ERR_INVALID', service.grant({ id: 'a.b*', queue: q, rights: ['read'] }, c))
    await fails('FNA_ERR_NOTFOUND', service.grant({ id: 'x', queue: 'none', rights: ['read'] }, c))
  })

  test('where our user may make none, nobody is let in, and it is said what is missing for topics too', async t => {
    const admin = await started(t)
    const q = await admin.queue('f.unix.test')
    const { credential } = await admin.service.grant({ id: 'weak', queue: q, rights: ['read'] }, c)
    const { user, password } = credential!.values as { user: string; password: string }
    const sasl = { mechanism: 'scram-sha-256', username: user, password } as const
    const { service } = await started(t, { ...secure(cluster), sasl })
    t.strictSame(service.access!(), [])
    await fails('FNA_ERR_UNSUPPORTED', service.grant({ id: 'x', queue: q, rights: ['read'] }, c))
    t.match(await service.describeQueue(q, c), { shards: 1, retentionMs: undefined })
    const made = service.createQueue(service.queueFor('g.unix.test'), {}, c)
    await t.rejects(made, { code: 'FNA_ERR_DENIED', message: /AUTHORIZATION_FAILED; give the user of sasl/ })
  })

  test('LIMIT: the cluster holds a user to so many bytes a second, until it is lifted or the user ends', async t => {
    const { service, queue, open } = await started(t)
    const q = await queue('limited.unix.test')
    t.strictSame(service.limits!(), ['bytesPerSecond'])
    const ask = { id: 'slow', queue: q, rights: ['read'] as const }
    const given = await service.grant({ ...ask, limits: { bytesPerSecond: 100_000 } }, c)
    const of = ['--describe', '--entity-type', 'users', '--entity-name', 'fnaad-slow']
    const quotas = async () => (await cluster.tool('kafka-configs', of)).stdout
    t.match(await quotas(), /consumer_byte_rate=100000(\.0)?\b/)

    const own = await open(service.internal(q))
    const sink = await own.sink({ writer: 'w', epoch: 0 }, c)
    for (let i = 0; i < 4; i++) await sink.write(event('x'.repeat(100_000)), {}, c)
    const fetching = async (at: { endpoint: Endpoint; credential: Credential | null }) => {
      const source = await (await open(at)).source({ reader: 'r', epoch: 0, from: { at: 'earliest' } }, c)
      const began = performance.now()
      let events = 0
      for await (const b of source.read(c)) {
        if ('count' in b) events += b.count
        if (events === 4) break
      }
      await source.close()
      return performance.now() - began
    }
    t.ok((await fetching(service.internal(q))) < 2000, 'nobody else is slowed')
    // All come in one answer, for which the reader then waits: what it asks for next comes late.
    await fetching(given)
    t.ok((await fetching(given)) > 2000, 'it has had its share')

    t.same(
      await service.grant({ ...ask, limits: { bytesPerSecond: 5_000_000 } }, c),
      given,
      'the same login, another limit',
    )
    t.match(await quotas(), /consumer_byte_rate=5000000(\.0)?\b|consumer_byte_rate=5\.?0?E6/)
    await service.grant(ask, c)
    t.notMatch(await quotas(), /byte_rate/)
    await service.grant({ ...ask, limits: { bytesPerSecond: 100_000 } }, c)
    await service.revoke('slow', c)
    t.notMatch(await quotas(), /byte_rate/, 'and nothing of it is left')
    await own.close()
  })

  test('brokers that start again know who may log in, whoever was removed before', async t => {
    const { service, queue } = await started(t)
    const q = await queue('kept.unix.test')
    // Names that Java goes through before the administrator's, and one that it goes through with the first of ours.
    const bucket = (id: string) => spread(`fnaad-${id}`) & 15
    const before = Array.from({ length: 1000 }, (_, i) => `r${i}`).filter(id => bucket(id) < (spread('admin') & 15))
    const removed = [...before.slice(0, 3), before.find(id => bucket(id) === 0)!]
    for (const id of removed) {
      await service.grant({ id, queue: q, rights: ['read'] }, c)
      await service.revoke(id, c)
    }
    await cluster.node(1).kill('SIGTERM')
    await cluster.node(1).start()
    t.match(await service.health(c), { ok: true })
    await service.grant({ id: removed[0]!, queue: q, rights: ['read'] }, c)
  })
}

test('users that a cluster has forgotten come back with the first of ours', { skip }, async t => {
  const cluster = await startKafka({ secure: true })
  t.teardown(() => cluster.stop())
  const user = (name: string, ...change: string[]) =>
    cluster.tool('kafka-configs', ['--alter', '--entity-type', 'users', '--entity-name', name, ...change])
  const restarted = async () => {
    await cluster.node(1).kill('SIGTERM')
    await cluster.node(1).start()
  }
  const place = (name: string) => spread(name) & 15
  const before = Array.from({ length: 100 }, (_, i) => `u${i}`).find(n => place(n) > 0 && place(n) < place('admin'))!
  await user(before, '--add-config', 'SCRAM-SHA-256=[password=x]')
  await user(before, '--delete-config', 'SCRAM-SHA-256')
  // Now it has, up to Kafka 4.3.1.
  await restarted()
  await user(FIRST, '--add-config', 'SCRAM-SHA-256=[password=nobody-knows-it]')
  await restarted()
  const { service } = await started(t, secure(cluster))
  t.match(await service.health(c), { ok: true })
})

test('the first of our users is first in any table of Java', async t => {
  t.equal(spread(FIRST) % 2 ** 20, 0)
})

/** The hash of Java's strings, as its `HashMap` spreads it. */
function spread(text: string): number {
  let h = 0
  for (const c of text) h = (Math.imul(31, h) + c.charCodeAt(0)) | 0
  return (h ^ (h >>> 16)) >>> 0
}
