import fc from 'fast-check'
import t from 'tap'
import { BIG, codec, event, events, forged, show, simple } from './batches.test.helper.js'
import { fails } from './fails.test.helper.js'
import {
  BATCH_AT,
  batchOf,
  checkBatch,
  clampTimestamps,
  crc32c,
  decodeBatch,
  encodeBatch,
  encodeBatches,
  type FlowEvent,
  readBatchHeader,
  rebase,
  rebaseInPlace,
  splitBatch,
  trimBatch,
} from './index.js'

t.test('CRC-32C', async t => {
  t.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  t.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
})

t.test('batches of other implementations', async t => {
  // Made with @platformatic/kafka 1.35.0 and kafkajs 2.2.4, without and with gzip.
  const tail = 'key-0|value 0|b0|1700000000000,|value 1|b1|1700000000007,key-2|value 2|b2|1700000000014'
  const made = [
    'AAAAAAAAAAAAAAB0AAAAAAJ4vUnYAAAAAAACAAABi8/laAAAAAGLz+VoDgAAAAAAAAAFAAEAAAAAAAAAAy4AAAAKa2V5LTAOdmFsdWUgMAICYQRiMCQADgIBDnZhbHVlIDECAmEEYjEuABwECmtleS0yDnZhbHVlIDICAmEEYjI=',
    'AAAAAAAAAAAAAAB0AAAAAAJ3clCwAAEAAAACAAABi8/laAAAAAGLz+VoDgAAAAAAAAAFAAEAAAAAAAAAAx+LCAAAAAAAAAPTY2Bg4MpOrdQ14CtLzClNVTBgYkpkSTJQYeBjYoQKGYKFDPUYZFjASo2g4kZgcSMAaYGMAUMAAAA=',
    'AAAAAAAAAAAAAAB0AAAAAALymV1BAAAAAAACAAABi8/laAAAAAGLz+VoDv//////////AAAAAAAAAAAAAy4AAAAKa2V5LTAOdmFsdWUgMAICYQRiMCQADgIBDnZhbHVlIDECAmEEYjEuABwECmtleS0yDnZhbHVlIDICAmEEYjI=',
    'AAAAAAAAAAAAAAB0AAAAAAL9VkQpAAEAAAACAAABi8/laAAAAAGLz+VoDv//////////AAAAAAAAAAAAAx+LCAAAAAAAAAPTY2Bg4MpOrdQ14CtLzClNVTBgYkpkSTJQYeBjYoQKGYKFDPUYZFjASo2g4kZgcSMAaYGMAUMAAAA=',
  ]
  for (const text of made) {
    const batch = Buffer.from(text, 'base64')
    t.match(checkBatch(batch), { count: 3, oldest: 1_700_000_000_000, newest: 1_700_000_000_014, expanded: 67 })
    const list = [...decodeBatch(batch, BIG)]
    t.equal(list.map(e => `${e.key ?? ''}|${e.value}|${e.headers[0]![1]}|${e.timestamp}`).join(), tail)
    t.same(
      list.map(e => e.headers[0]![0]),
      ['a', 'a', 'a'],
    )
    t.equal(checkBatch(encodeBatch(list)).expanded, 67)
  }
  const [, , kafkajs] = made.map(text => Buffer.from(text, 'base64'))
  const ours = encodeBatch(decodeBatch(kafkajs!, BIG))
  t.same(ours.subarray(BATCH_AT.records), kafkajs!.subarray(BATCH_AT.records), 'the same records, byte for byte')
})

t.test('what is encoded is decoded', async () => {
  fc.assert(
    fc.property(events, codec, (list, codec) => {
      const batch = encodeBatch(list, { codec })
      const header = checkBatch(batch)
      const stamps = list.map(e => e.timestamp)
      return (
        header.count === list.length &&
        header.newest === Math.max(...stamps) &&
        header.oldest === Math.min(...stamps) &&
        header.maxTimestamp === header.newest &&
        show(decodeBatch(batch, BIG)) === show(list)
      )
    }),
    { seed: 11, numRuns: 1000 },
  )
})

t.test('splitting, trimming, rebasing', async t => {
  fc.assert(
    fc.property(fc.array(event, { minLength: 2, maxLength: 12 }), codec, fc.nat(), (list, codec, n) => {
      const at = 1 + (n % (list.length - 1))
      const batch = encodeBatch(list, { codec, baseOffset: 100 })
      const [head, rest] = splitBatch(batch, at)
      const trimmed = trimBatch(batch, at)!
      return (
        checkBatch(head).codec === codec &&
        show([...decodeBatch(head, BIG), ...decodeBatch(rest, BIG)]) === show(list) &&
        readBatchHeader(rest).baseOffset === 100 + at &&
        trimmed.equals(rest)
      )
    }),
    { seed: 12, numRuns: 300 },
  )
  const batch = encodeBatch(simple(3))
  t.equal(trimBatch(batch, 3), null)
  t.equal(trimBatch(batch, 0), batch)
  for (const at of [0, 3, -1, 1.5]) t.throws(() => splitBatch(batch, at), RangeError)
  const moved = rebase(batch, 2 ** 40 + 5)
  t.match(checkBatch(moved), { baseOffset: 2 ** 40 + 5, leaderEpoch: -1, count: 3 })
  t.equal(readBatchHeader(batch).baseOffset, 0, 'a copy')
  t.equal(rebaseInPlace(batch, 7), batch)
  t.equal(readBatchHeader(batch).baseOffset, 7)
  for (const at of [-1, 1.5, 2 ** 60]) t.throws(() => rebase(batch, at), RangeError)
  t.throws(() => encodeBatch([]), RangeError)
  for (const timestamp of [Number.NaN, 1.5, -2, 9e15]) fails(t, () => encodeBatch(simple(1, timestamp)), 'BADEVENT')
})

t.test('a Batch for sources and sinks', async t => {
  const raw = encodeBatch(simple(3), { codec: 'gzip' })
  const batch = batchOf({ shard: '0', last: '17', bytes: raw })
  t.match(batch, { shard: '0', last: '17', count: 3, newest: 1002, raw: { format: 'kafka-v2', codec: 'gzip' } })
  t.equal(batch.raw!.bytes, raw, 'the very bytes')
  t.equal([...batch.events(BIG)].length, 3)
  t.equal([...batch.events(BIG)].length, 3, 'more than once')
  fails(t, () => [...batch.events({ bytes: 5 })], 'BADEVENT')
  const lazy = decodeBatch(encodeBatch(simple(2)).subarray(0, -1), BIG)
  fails(t, () => [...lazy], 'BADEVENT', 'truncated')
})

t.test('log append time', async t => {
  const good = forged(encodeBatch(simple(3)), b => {
    b.writeUInt16BE(8, BATCH_AT.attributes)
    b.writeUInt32BE(77, BATCH_AT.maxTimestamp + 4)
  })
  t.match(checkBatch(good), { logAppendTime: true, oldest: 77, newest: 77 })
  t.same(
    [...decodeBatch(good, BIG)].map(e => e.timestamp),
    [77, 77, 77],
  )
})

t.test('time stamps are clamped', async t => {
  const day = 86_400_000
  const now = 1_700_000_000_000
  const range = { oldest: now - 7 * day, newest: now + day }
  const fine = encodeBatch(simple(3, now))
  t.equal(clampTimestamps(fine, range), fine, 'the same bytes')
  const wild = [now, 32_503_680_000_000, 0, -1].map((timestamp): FlowEvent => ({ ...simple(1)[0]!, timestamp }))
  const clamped = clampTimestamps(encodeBatch(wild, { baseOffset: 9 }), range)
  t.match(checkBatch(clamped), { baseOffset: 9, oldest: range.oldest, newest: range.newest, count: 4 })
  const packed = encodeBatch(wild, { codec: 'gzip' })
  t.equal(readBatchHeader(clampTimestamps(packed, range)).codec, 'lz4', 'who makes it anew is not kept busy')
  const liar = forged(fine, b => b.writeInt32BE(5000, BATCH_AT.maxTimestamp))
  t.equal(readBatchHeader(clampTimestamps(liar, range)).maxTimestamp, now + 2, 'what the header claims, too')
})

t.test('events as batches that do not pass a size', async t => {
  const sized = (size: number) => ({ key: null, value: Buffer.alloc(size), headers: [], timestamp: 5 })
  const counts = (events: FlowEvent[], most: number) => [...encodeBatches(events, most)].map(b => checkBatch(b).count)
  t.strictSame([...encodeBatches([])], [])
  t.strictSame(counts([sized(100), sized(100), sized(100)], 400), [2, 1])
  t.strictSame(counts([sized(500), sized(1), sized(500)], 400), [1, 1, 1], 'one that does alone goes alone')
  fc.assert(
    fc.property(events, fc.integer({ min: 200, max: 4000 }), (list, most) => {
      const batches = [...encodeBatches(list, most)]
      const found = batches.flatMap(b => [...decodeBatch(b, BIG)])
      return batches.every(b => b.length <= most || checkBatch(b).count === 1) && show(found) === show(list)
    }),
    { seed: 15, numRuns: 300 },
  )
})
