import { BATCH_AT as AT, batchOf, checkBatch, crc32c, encodeBatch, isMarker, markerBatch } from '@fnaa/protocol'
import t from 'tap'
import { Pieces } from './pieces.js'

const event = (n: number, size = 10) => ({
  key: Buffer.from(`k${n}`),
  value: Buffer.alloc(size, n),
  headers: [] as [string, Uint8Array][],
  timestamp: 1_700_000_000_000 + n,
})
const batch = (n: number, size?: number) => encodeBatch([event(n, size)])

t.test('small neighbours become one batch, and its place is behind the last', async t => {
  const pieces = new Pieces()
  for (let i = 0; i < 5; i++) pieces.add({ bytes: batch(i), behind: 101 + i })
  const [one, ...more] = pieces.end()
  t.equal(more.length, 0)
  t.match(one, { behind: 105, own: true })
  const events = [...batchOf({ shard: '0', last: '105', bytes: one!.bytes }).events({ bytes: 1 << 20 })]
  t.same(
    events.map(e => [Buffer.from(e.key!).toString(), e.timestamp - 1_700_000_000_000]),
    [0, 1, 2, 3, 4].map(n => [`k${n}`, n]),
  )
})

t.test('a large one stays as it is, between what stands around it', async t => {
  const pieces = new Pieces()
  const large = batch(2, 20_000)
  for (const [i, b] of [batch(0), batch(1), large, batch(3)].entries()) pieces.add({ bytes: b, behind: i + 1 })
  const got = pieces.end()
  t.same(
    got.map(p => [p.behind, p.own]),
    [
      [2, true],
      [3, false],
      [4, false],
    ],
  )
  t.equal(got[1]!.bytes, large)
})

t.test('compressed ones are not opened', async t => {
  const pieces = new Pieces()
  const list = [0, 1].map(n => encodeBatch([event(n)], { codec: 'gzip' }))
  for (const [i, b] of list.entries()) pieces.add({ bytes: b, behind: i + 1 })
  t.same(
    pieces.end().map(p => p.bytes),
    list,
  )
})

t.test('none grows beyond 256 KiB', async t => {
  const pieces = new Pieces()
  for (let i = 0; i < 60; i++) pieces.add({ bytes: batch(i, 10_000), behind: i + 1 })
  const got = pieces.end()
  t.ok(got.length >= 3)
  t.ok(got.every(p => p.bytes.length <= 262_144 + 60 * 16))
  t.equal(got.at(-1)!.behind, 60)
})

t.test('what is damaged ends it: what stands before is given', async t => {
  const pieces = new Pieces()
  const bad = Buffer.from(batch(1))
  bad[bad.length - 3]! ^= 1
  const all = [batch(0, 20_000), batch(1), batch(2), bad, batch(3), batch(4, 20_000)]
  for (const [i, b] of all.entries()) pieces.add({ bytes: b, behind: i + 1 })
  t.same(
    pieces.end().map(p => p.behind),
    [1, 3],
  )
  t.match(pieces.failure, { symbol: 'BADEVENT' })
})

t.test('a marker stays alone', async t => {
  const pieces = new Pieces()
  const id = 'a'.repeat(26)
  for (const [i, b] of [batch(0), markerBatch(id, 1), batch(1), batch(2)].entries())
    pieces.add({ bytes: b, behind: i + 1 })
  const got = pieces.end().map(p => batchOf({ shard: '0', last: String(p.behind), bytes: p.bytes }))
  t.same(
    got.map(b => [b.count, isMarker(b, id)]),
    [
      [1, false],
      [1, true],
      [2, false],
    ],
  )
})

t.test('one that counts from a time that is none is given alone: its neighbours could not be read with it', async t => {
  // Two events, the second 2^52-1 ms behind a base that lies as far before the first.
  const odd = Buffer.from(batch(0))
  const far = 2n ** 52n - 1n
  const delta = Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f])
  const at = AT.records + 2
  const forged = Buffer.concat([odd.subarray(0, at), delta, odd.subarray(at + 1)])
  forged[AT.records] = (odd[AT.records] as number) + 2 * (delta.length - 1)
  forged.writeInt32BE(forged.length - 12, AT.length)
  forged.writeBigInt64BE(1_700_000_000_000n - far, AT.baseTimestamp)
  forged.writeUInt32BE(crc32c(forged.subarray(AT.attributes)), AT.crc)
  t.match(checkBatch(forged), { newest: 1_700_000_000_000 }, 'nothing is wrong with it')
  const pieces = new Pieces()
  for (const [i, b] of [forged, batch(1), batch(2)].entries()) pieces.add({ bytes: b, behind: i + 1 })
  const got = pieces.end()
  t.same(
    got.map(p => p.behind),
    [1, 3],
  )
  for (const { bytes } of got) t.ok(checkBatch(bytes).count > 0)
})
