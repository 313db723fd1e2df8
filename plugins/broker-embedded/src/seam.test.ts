import type { DriverHost } from '@fnaa/core/plugin'
import { BATCH_AT, type Batch, batchOf, codecs, crc32c } from '@fnaa/protocol'
import t from 'tap'
import driver from './driver.js'
import { batch, c, open, read } from './tools.test.helper.js'

const host = (foreign: boolean) => ({ foreign }) as DriverHost

t.test('the driver opens what is open here, for us, and nothing else', async t => {
  const x = await open()
  const { endpoint } = x.service.internal('q')
  await t.rejects(driver.open(endpoint, null, host(true), c), { code: 'FNA_ERR_DENIED' })
  await t.rejects(driver.open({ ...endpoint, type: 'kafka' }, null, host(false), c), { code: 'FNA_ERR_INVALID' })
  await t.rejects(driver.open({ ...endpoint, options: {} }, null, host(false), c), { code: 'FNA_ERR_INVALID' })
  const wire = await driver.open({ ...endpoint, queue: 'none' }, null, host(false), c)
  await t.rejects(wire.sink({ writer: 'w', epoch: 1 }, c), { code: 'FNA_ERR_NOTFOUND' })
  const kept = await driver.open(endpoint, null, host(false), c)
  await x.h.stop()
  await t.rejects(kept.sink({ writer: 'w', epoch: 1 }, c), { code: 'FNA_ERR_CLOSED' })
  await t.rejects(driver.open(endpoint, null, host(false), c), { code: 'FNA_ERR_UNSUPPORTED' })
  await x.h.close()
})

t.test('two brokers in one process do not mix', async t => {
  const a = await open()
  const b = await open()
  await a.write('a')
  await b.write('b')
  t.same(await read(await a.source(), 1), ['a'])
  t.same(await read(await b.source(), 1), ['b'])
  await a.h.close()
  await b.write('still')
  await b.h.close()
})

t.test('a closed wire closes what it opened', async t => {
  const x = await open()
  const wire = await driver.open(x.service.internal('q').endpoint, null, host(false), c)
  const source = await wire.source({ reader: 'r', epoch: 1, from: { at: 'earliest' } }, c)
  const sink = await wire.sink({ writer: 'w', epoch: 1 }, c)
  await wire.close()
  await t.rejects(sink.write(batch(['a'], 0), {}, c), { code: 'FNA_ERR_CLOSED' })
  await t.rejects(source.lag(c), { code: 'FNA_ERR_CLOSED' })
  await x.h.close()
})

t.test('specs and names that break a rule are refused', async t => {
  const x = await open()
  const s = x.service
  const specs = [{ shards: 0 }, { shards: 1.5 }, { retentionMs: -1 }, { retentionBytes: 0 }, { maxEventBytes: 1 << 30 }]
  for (const spec of specs) await t.rejects(s.createQueue('x', spec, c), { code: 'FNA_ERR_INVALID' })
  for (const name of ['', 'x'.repeat(513), 'a\0b'])
    await t.rejects(s.createQueue(name, {}, c), { code: 'FNA_ERR_INVALID' })
  await t.rejects(x.source({ reader: 'x'.repeat(513) }), { code: 'FNA_ERR_INVALID' })
  await t.rejects(x.sink({ writer: '' }), { code: 'FNA_ERR_INVALID' })
  await t.rejects(s.listConsumers('none', c), { code: 'FNA_ERR_NOTFOUND' })
  t.equal(await s.describeQueue('x', c), null)
  await x.h.close()
})

/** A batch in a codec that nobody has registered here. */
function foreignCodec(timestamp: number): Batch {
  const bytes = Buffer.from(batch(['a', 'b', 'c'], timestamp).raw!.bytes)
  bytes.writeUInt16BE(4, BATCH_AT.attributes)
  bytes.writeUInt32BE(crc32c(bytes.subarray(BATCH_AT.attributes)), BATCH_AT.crc)
  return batchOf({ shard: '0', last: '', bytes })
}

t.test('a batch in a codec that is not here passes through as it is', async t => {
  // Newer versions of Node have it.
  const zstd = codecs.get('zstd')
  codecs.delete('zstd')
  t.teardown(() => zstd && codecs.set('zstd', zstd))
  const x = await open()
  const now = x.h.clock.now()
  const sink = await x.sink()
  t.equal((await sink.write(foreignCodec(now), {}, c)).cursor, '3')
  const { epoch } = await (await x.source()).position(c)
  for (const cursor of ['0', '1']) {
    const from = { at: 'position', position: { epoch, shards: { 0: cursor } } } as const
    for await (const item of (await x.source({ reader: cursor, from })).read(c)) {
      t.match(item, { count: 3, last: '3' })
      break
    }
  }
  await t.rejects(sink.write(foreignCodec(0), {}, c), { code: 'FNA_ERR_UNSUPPORTED' }, 'a time that must be changed')
  const bad = foreignCodec(now)
  const bytes = Buffer.from(bad.raw!.bytes)
  bytes[70]! ^= 1
  await t.rejects(sink.write(batchOf({ shard: '0', last: '', bytes }), {}, c), { code: 'FNA_ERR_CORRUPT' })
  await x.service.updateQueue('q', { shards: 2 }, c)
  await t.rejects(sink.write(foreignCodec(now), {}, c), { code: 'FNA_ERR_UNSUPPORTED' }, 'keys that must be looked at')
  await x.h.close()
})
