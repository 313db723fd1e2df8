import { batchOf, decodeBatch, encodeBatch, MOST_BATCH } from '@fnaa/protocol'
import t from 'tap'
import { piecesOf } from './pieces.js'

const events = (n: number, size: number) =>
  Array.from({ length: n }, (_, i) => ({
    key: null,
    value: Buffer.alloc(size, String(i % 10)),
    headers: [],
    timestamp: 1_700_000_000_000 + i,
  }))

t.test('what a frame holds goes as it is', async t => {
  const bytes = encodeBatch(events(3, 10), { codec: 'gzip' })
  t.equal([...piecesOf(batchOf({ shard: '0', last: '3', bytes }), ['gzip'])][0]!.bytes, bytes)
  const [plain] = [...piecesOf(batchOf({ shard: '0', last: '3', bytes }), [])]
  t.equal(batchOf({ shard: '0', last: '3', bytes: plain!.bytes }).raw!.codec, 'none', 'a codec that the client lacks')
  t.strictSame([plain!.cursor, plain!.count], ['3', 3])
})

t.test('what no frame holds goes in pieces, each with the place behind it', async t => {
  const all = events(5, 1_000_000)
  for (const codec of ['none', 'gzip'] as const) {
    // Stored before there was a bound, or gzip of a batch that the client cannot open.
    const pieces = [...piecesOf(batchOf({ shard: '0', last: '105', bytes: encodeBatch(all, { codec }) }), [])]
    t.strictSame(
      pieces.map(p => [p.cursor, p.count]),
      [
        ['102', 2],
        ['104', 2],
        ['105', 1],
      ],
    )
    t.ok(pieces.every(p => p.bytes.length <= MOST_BATCH))
    const found = pieces.flatMap(p => [...decodeBatch(p.bytes, { bytes: 1 << 24 })])
    t.strictSame(
      found.map(e => [e.timestamp, e.value!.length]),
      all.map(e => [e.timestamp, 1_000_000]),
    )
  }
})

t.test('where cursors are no offsets, what is too long is refused by name', async t => {
  const bytes = encodeBatch(events(5, 1_000_000))
  t.throws(() => [...piecesOf(batchOf({ shard: '0', last: 'opaque', bytes }), [])], { message: /NOTSUPPORTED/ })
})
