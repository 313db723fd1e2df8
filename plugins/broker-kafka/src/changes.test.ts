import { call } from '@fnaa/conformance'
import t from 'tap'
import { oneCluster, topicsOf } from './cluster.test.helper.js'
import { batchWith, opened, Reader, sinkOf, sourceOf } from './driver.test.helper.js'

// What happens to a topic while it is read and written.
const c = call()
const numbers = (from: number, n: number) => Array.from({ length: n }, (_, i) => String(from + i))
const cluster = await oneCluster()
if (cluster) {
  const { admin, create } = await topicsOf(cluster)

  t.test('batches over the limit of their topic go out in smaller ones, and nothing passes them', async t => {
    await create('small', { 'max.message.bytes': '2000' })
    const wire = await opened({ servers: cluster.servers, queue: 'small' })
    t.teardown(() => wire.close())
    const sink = await sinkOf(wire)
    const value = (n: number) => `${n} ${'x'.repeat(150)}`
    // Too long, short, too long …: all under way at once, the first of them the first that the broker hears of the producer.
    const sizes = [40, 1, 30, 1, 1, 25, 1]
    let n = 0
    const writes = sizes.map(size => {
      const values = Array.from({ length: size }, () => value(n++))
      return sink.write(batchWith(values, { codec: size === 30 ? 'gzip' : 'none' }), {}, c)
    })
    const cursors = (await Promise.all(writes)).map(w => Number(w.cursor))
    t.same(
      cursors,
      [...cursors].sort((a, b) => a - b),
      'cursors rise',
    )
    const reader = await new Reader(await sourceOf(wire)).until(n)
    t.same(
      reader.values,
      Array.from({ length: n }, (_, i) => value(i)),
    )
    await reader.close()
    await t.rejects(sink.write(batchWith(['y'.repeat(3000)]), {}, c), {
      code: 'FNA_ERR_TOO_LARGE',
      message: /over the 2000 bytes that topic small takes \(max\.message\.bytes\)/,
    })
    await t.rejects(sink.write(batchWith(['next']), {}, c), { code: 'FNA_ERR_TOO_LARGE' }, 'nothing passes it')
  })

  t.test('so they do in transactions', async t => {
    const wire = await opened({ servers: cluster.servers, queue: 'small' })
    t.teardown(() => wire.close())
    const reader = new Reader(await sourceOf(wire, { at: 'latest' }, 'exactly'))
    const sink = await sinkOf(wire, 'exact')
    const exactly = { reader: 'source', epoch: 'e' }
    const values = Array.from({ length: 60 }, (_, n) => `${n} ${'z'.repeat(150)}`)
    await Promise.all([
      sink.write(batchWith(values.slice(0, 40), { last: '40' }), { exactly }, c),
      sink.write(batchWith(values.slice(40), { last: '60' }), { exactly }, c),
    ])
    t.same((await reader.until(60)).values, values)
    t.same(await sink.restore('source', c), { epoch: 'e', shards: { 0: '60' } })
    await reader.close()
  })

  t.test('a batch that is damaged stops the lane: nothing passes it', async t => {
    await create('damaged')
    const wire = await opened({ servers: cluster.servers, queue: 'damaged' })
    t.teardown(() => wire.close())
    const sink = await sinkOf(wire)
    await sink.write(batchWith(['before']), {}, c)
    const bad = batchWith(['bad'.repeat(6000)])
    bad.raw!.bytes[100]! ^= 1
    const writes = [bad, ...numbers(0, 10).map(v => batchWith([v.repeat(20_000)]))].map(b => sink.write(b, {}, c))
    for (const w of await Promise.allSettled(writes)) t.match(w, { reason: { code: 'FNA_ERR_CORRUPT' } })
    // Small ones are put together, which looks into them.
    const other = await sinkOf(wire, 'other')
    const small = ['a', 'b', 'c'].map(v => batchWith([v]))
    small[1]!.raw!.bytes[66]! ^= 1
    const [a, b] = await Promise.allSettled(small.map(x => other.write(x, {}, c)))
    t.match([a, b], [{ status: 'fulfilled' }, { reason: { code: 'FNA_ERR_CORRUPT' } }])
    const reader = await new Reader(await sourceOf(wire)).until(2)
    t.same(reader.values, ['before', 'a'])
    t.match(await reader.source.lag(c), { shards: { 0: { behind: 0 } } }, 'nothing else is there')
    await reader.close()
  })

  t.test('partitions that are added are read from their beginning, without anything having failed', async t => {
    await create('grows')
    const wire = await opened({ servers: cluster.servers, queue: 'grows' })
    t.teardown(() => wire.close())
    const reader = new Reader(await sourceOf(wire, { at: 'latest' }))
    await (await sinkOf(wire)).write(batchWith(['0']), {}, c)
    await reader.until(1)
    await admin.createPartitions({ topicPartitions: [{ topic: 'grows', count: 3 }] })
    const other = await opened({ servers: cluster.servers, queue: 'grows' })
    const sink = await sinkOf(other, 'other')
    for (const shard of ['1', '2']) await sink.write(batchWith([shard], { shard }), {}, c)
    t.same((await reader.until(3)).values.sort(), ['0', '1', '2'])
    await reader.close()
    await other.close()
  })

  t.test('a topic that is made anew while it is read is a gap, and is read from its beginning', async t => {
    await create('anew')
    const wire = await opened({ servers: cluster.servers, queue: 'anew' })
    t.teardown(() => wire.close())
    await (await sinkOf(wire)).write(batchWith(numbers(0, 5)), {}, c)
    const reader = await new Reader(await sourceOf(wire)).until(5)
    const { epoch } = await reader.source.position(c)
    await admin.deleteTopics({ topics: ['anew'] })
    await create('anew')
    const other = await opened({ servers: cluster.servers, queue: 'anew' })
    await (await sinkOf(other, 'other')).write(batchWith(numbers(5, 3)), {}, c)
    await reader.until(8, 1)
    t.same(reader.gaps, [{ shard: '0', from: '5', to: '0', reason: 'epoch' }])
    t.same(reader.values.slice(5), ['5', '6', '7'])
    const now = await reader.source.position(c)
    t.same(now.shards, { 0: '3' })
    t.not(now.epoch, epoch)
    await reader.close()
    await other.close()
  })

  t.test('events that are removed before they were read are a gap', async t => {
    await create('passes')
    const wire = await opened({ servers: cluster.servers, queue: 'passes' })
    t.teardown(() => wire.close())
    const sink = await sinkOf(wire)
    await sink.write(batchWith(numbers(0, 5)), {}, c)
    const first = await new Reader(await sourceOf(wire)).until(5)
    await first.close()
    await sink.write(batchWith(numbers(5, 5)), {}, c)
    const input = JSON.stringify({ partitions: [{ topic: 'passes', partition: 0, offset: 8 }], version: 1 })
    const removed = await cluster.tool('kafka-delete-records', ['--offset-json-file', '/dev/stdin'], { input })
    t.equal(removed.code, 0, removed.stderr)
    const second = await new Reader(await sourceOf(wire)).until(2, 1)
    t.same(second.gaps, [{ shard: '0', from: '5', to: '8', reason: 'retention' }])
    t.same(second.values, ['8', '9'])
    await second.close()
  })
}
