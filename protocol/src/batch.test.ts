import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { fails } from './fails.test.help.js'
import {
  BATCH_AT,
  batchOf,
  checkBatch,
  clampTimestamps,
  codecs,
  crc32c,
  decodeBatch,
  encodeBatch,
  type FlowEvent,
  isCodecUnavailable,
  isFnapError,
  readBatchHeader,
  rebase,
  rebaseInPlace,
  splitBatch,
  trimBatch,
} from './index.js'

const BIG = { bytes: 10_000_000 }
const bytes = fc.uint8Array({ maxLength: 40 })
const event: fc.Arbitrary<FlowEvent> = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 6 }), bytes), { maxLength: 3 }),
  timestamp: fc.oneof(
    fc.constantFrom(-1, 0, 253_402_300_799_999),
    fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 }),
  ),
})
const events = fc.array(event, { minLength: 1, maxLength: 12 })
const codec = fc.constantFrom('none' as const, 'gzip' as const)
const hex = (b: Uint8Array | null) => (b === null ? null : Buffer.from(b).toString('hex'))
const show = (list: Iterable<FlowEvent>) =>
  JSON.stringify([...list].map(e => [hex(e.key), hex(e.value), e.headers.map(([k, v]) => [k, hex(v)]), e.timestamp]))
const simple = (n: number, timestamp = 1000): FlowEvent[] =>
  Array.from({ length: n }, (_, i) => ({
    key: null,
    value: Buffer.from(`v${i}`),
    headers: [],
    timestamp: timestamp + i,
  }))
/** A changed copy whose checksum is right again. */
function forged(batch: Buffer, change: (b: Buffer) => void): Buffer {
  const copy = Buffer.from(batch)
  change(copy)
  copy.writeUInt32BE(crc32c(copy.subarray(BATCH_AT.attributes)), BATCH_AT.crc)
  return copy
}
/** A batch with these bytes as its records. */
function withRecords(records: Buffer, count: number): Buffer {
  const head = encodeBatch(simple(1)).subarray(0, BATCH_AT.records)
  return forged(Buffer.concat([head, records]), b => {
    b.writeInt32BE(b.length - 12, BATCH_AT.length)
    b.writeInt32BE(count, BATCH_AT.count)
    b.writeInt32BE(count - 1, BATCH_AT.lastOffsetDelta)
  })
}

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

t.test('what a stranger’s batch must not be', async t => {
  const good = encodeBatch(simple(3))
  const table: [string, Buffer][] = [
    ['short', good.subarray(0, 60)],
    ['cut off', good.subarray(0, -1)],
    ['something behind it', Buffer.concat([good, Buffer.from('x')])],
    ['magic 1', forged(good, b => b.writeUInt8(1, BATCH_AT.magic))],
    ['negative length', forged(good, b => b.writeInt32BE(-1, BATCH_AT.length))],
    ['negative count', forged(good, b => b.writeInt32BE(-1, BATCH_AT.count))],
    ['count 0', forged(good, b => b.writeInt32BE(0, BATCH_AT.count))],
    [
      'count 2',
      forged(good, b => {
        b.writeInt32BE(2, BATCH_AT.count)
        b.writeInt32BE(1, BATCH_AT.lastOffsetDelta)
      }),
    ],
    [
      'count 4',
      forged(good, b => {
        b.writeInt32BE(4, BATCH_AT.count)
        b.writeInt32BE(3, BATCH_AT.lastOffsetDelta)
      }),
    ],
    [
      'huge count',
      forged(good, b => {
        b.writeInt32BE(0x7fffffff, BATCH_AT.count)
        b.writeInt32BE(0x7ffffffe, BATCH_AT.lastOffsetDelta)
      }),
    ],
    ['holes', forged(good, b => b.writeInt32BE(9, BATCH_AT.lastOffsetDelta))],
    ['transactional', forged(good, b => b.writeUInt16BE(0x10, BATCH_AT.attributes))],
    ['control', forged(good, b => b.writeUInt16BE(0x20, BATCH_AT.attributes))],
    ['delete horizon', forged(good, b => b.writeUInt16BE(0x40, BATCH_AT.attributes))],
    ['unknown codec', forged(good, b => b.writeUInt16BE(5, BATCH_AT.attributes))],
    ['gzip that is none', forged(good, b => b.writeUInt16BE(1, BATCH_AT.attributes))],
    ['negative offset', forged(good, b => b.writeInt32BE(-1, BATCH_AT.baseOffset))],
    ['offset over 53 bits', forged(good, b => b.writeInt32BE(0x7fffffff, BATCH_AT.baseOffset))],
    ['time stamp over 53 bits', forged(good, b => b.writeInt32BE(0x7fffffff, BATCH_AT.baseTimestamp))],
    ['hidden newest time stamp', forged(good, b => b.writeUInt32BE(5, BATCH_AT.maxTimestamp + 4))],
    ['newest out of range', forged(good, b => b.writeInt32BE(0x1fffff, BATCH_AT.maxTimestamp))],
    [
      'wrong checksum',
      (b => {
        b[b.length - 1]! ^= 1
        return b
      })(Buffer.from(good)),
    ],
    ['record length that overruns', withRecords(Buffer.from([0x7e, 0, 0, 0, 1, 1, 0]), 1)],
    ['negative record length', withRecords(Buffer.from([0x01, 0, 0, 0, 1, 1, 0]), 1)],
    ['record of length 0', withRecords(Buffer.from([0, 0, 0, 0, 1, 1, 0]), 1)],
    ['record longer than its fields', withRecords(Buffer.from([14, 0, 0, 0, 1, 1, 0, 0]), 1)],
    ['record shorter than its fields', withRecords(Buffer.from([8, 0, 0, 0, 1, 1, 0]), 1)],
    ['key that overruns the record', withRecords(Buffer.from([12, 0, 0, 0, 0x7e, 1, 0]), 1)],
    ['key of length -2', withRecords(Buffer.from([12, 0, 0, 0, 3, 1, 0]), 1)],
    ['headers that are not there', withRecords(Buffer.from([12, 0, 0, 0, 1, 1, 0x7e]), 1)],
    ['negative headers', withRecords(Buffer.from([12, 0, 0, 0, 1, 1, 1]), 1)],
    ['header name not UTF-8', withRecords(Buffer.from([18, 0, 0, 0, 1, 1, 2, 2, 0xff, 0]), 1)],
    ['endless varint', withRecords(Buffer.alloc(20, 0xff), 1)],
    ['varint over 32 bits', withRecords(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0]), 1)],
  ]
  for (const [what, batch] of table) {
    t.doesNotThrow(() => {
      try {
        checkBatch(batch)
      } catch (error) {
        if (!isFnapError(error)) throw error
      }
    }, what)
    fails(t, () => checkBatch(batch), 'BADEVENT', what)
  }
  fails(t, () => checkBatch(good, { bytes: good.length - 1 }), 'TOOLONG')
  fails(t, () => checkBatch(good, { event: 1 }), 'TOOLONG')
  fails(t, () => checkBatch(good, { expanded: 10 }), 'BADEVENT')
  t.ok(checkBatch(good, { bytes: good.length, event: 2, expanded: 100 }))
})

t.test('a bomb does not go off', async t => {
  const bomb = forged(withRecords(gzipSync(Buffer.alloc(50_000_000)), 1), b => b.writeUInt16BE(1, BATCH_AT.attributes))
  t.ok(bomb.length < 60_000)
  const before = process.memoryUsage().arrayBuffers
  fails(t, () => checkBatch(bomb), 'BADEVENT')
  fails(t, () => [...decodeBatch(bomb, { bytes: 1_000_000 })], 'BADEVENT')
  t.ok(process.memoryUsage().arrayBuffers - before < 45_000_000)
})

t.test('codecs that are not there, and codecs that are added', async t => {
  const good = encodeBatch(simple(3))
  const lz4 = forged(good, b => b.writeUInt16BE(3, BATCH_AT.attributes))
  fails(t, () => checkBatch(lz4), 'NOTSUPPORTED')
  try {
    checkBatch(lz4)
  } catch (error) {
    t.ok(isCodecUnavailable(error))
    t.match((error as Error).message, /lz4/)
  }
  t.notOk(isCodecUnavailable(new Error('x')))
  fails(t, () => encodeBatch(simple(1), { codec: 'zstd' }), 'NOTSUPPORTED')
  t.equal(batchOf({ shard: '0', last: '1', bytes: lz4 }).raw!.codec, 'lz4', 'may still be passed on')
  codecs.set('lz4', codecs.get('none')!)
  t.teardown(() => codecs.delete('lz4'))
  t.equal(checkBatch(lz4).count, 3)
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
  const liar = forged(fine, b => b.writeInt32BE(5000, BATCH_AT.maxTimestamp))
  t.equal(readBatchHeader(clampTimestamps(liar, range)).maxTimestamp, now + 2, 'what the header claims, too')
})

t.test('corrupted batches never crash, hang or slip through', async () => {
  fc.assert(
    fc.property(
      events,
      codec,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      (list, codec, changes, fix) => {
        const batch = encodeBatch(list, { codec })
        const broken = Buffer.from(batch)
        for (const [at, byte] of changes) broken[at % broken.length] = byte
        if (fix) broken.writeUInt32BE(crc32c(broken.subarray(BATCH_AT.attributes)), BATCH_AT.crc)
        try {
          const header = checkBatch(broken)
          const decoded = [...decodeBatch(broken, BIG)]
          if (decoded.length !== header.count) return false
          // Whoever looks at a checked batch again finds the same.
          return decoded.every(e => e.timestamp >= header.oldest && e.timestamp <= header.newest)
        } catch (error) {
          return isFnapError(error)
        }
      },
    ),
    { seed: 13, numRuns: 5000 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), noise => {
      try {
        checkBatch(Buffer.from(noise))
        return false
      } catch (error) {
        return isFnapError(error)
      }
    }),
    { seed: 14, numRuns: 2000 },
  )
})
