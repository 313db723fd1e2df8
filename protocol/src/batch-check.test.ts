import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { BIG, codec, events, forged, simple, withRecords } from './batches.test.helper.js'
import { fails } from './fails.test.helper.js'
import {
  BATCH_AT,
  checkBatch,
  clampTimestamps,
  crc32c,
  decodeBatch,
  encodeBatch,
  isFnapError,
  LIMITS,
  MAX_TIMESTAMP,
  openBatch,
} from './index.js'

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
  const huge = forged(good, b => {
    b.writeInt32BE(0x7fffffff, BATCH_AT.count)
    b.writeInt32BE(0x7ffffffe, BATCH_AT.lastOffsetDelta)
  })
  fails(t, () => checkBatch(huge), 'TOOLONG', 'huge count')
  fails(t, () => checkBatch(huge, { events: Number.POSITIVE_INFINITY }), 'BADEVENT', 'huge count that nobody bounds')
  fails(t, () => checkBatch(good, { events: 2 }), 'TOOLONG')
  fails(t, () => checkBatch(good, { bytes: good.length - 1 }), 'TOOLONG')
  fails(t, () => checkBatch(good, { event: 1 }), 'TOOLONG')
  fails(t, () => checkBatch(good, { expanded: 10 }), 'BADEVENT')
  t.ok(checkBatch(good, { bytes: good.length, event: 2, expanded: 100, events: 3 }))
})

t.test('what counts in microseconds or nanoseconds is read as the end of the year 9999', async t => {
  const now = 1_700_000_000_000
  const range = { oldest: 0, newest: now }
  for (const unit of [1000n, 1_000_000n]) {
    const base = BigInt(now) * unit
    const late = forged(encodeBatch(simple(3)), b => {
      b.writeBigInt64BE(base, BATCH_AT.baseTimestamp)
      b.writeBigInt64BE(base + 2n, BATCH_AT.maxTimestamp)
    })
    t.match(checkBatch(late), { oldest: MAX_TIMESTAMP, newest: MAX_TIMESTAMP, maxTimestamp: MAX_TIMESTAMP, count: 3 })
    const times = [...decodeBatch(late, { bytes: 1000 })].map(e => e.timestamp)
    t.strictSame(times, [MAX_TIMESTAMP, MAX_TIMESTAMP, MAX_TIMESTAMP])
    t.match(checkBatch(clampTimestamps(late, range)), { oldest: now, newest: now, count: 3 }, 'and can be moved')
  }
  const first = encodeBatch([{ key: null, value: null, headers: [], timestamp: MAX_TIMESTAMP }])
  t.equal(checkBatch(first).newest, MAX_TIMESTAMP)
})

t.test('a time before 1970, or further away than a number, ends no reading', async t => {
  const read = (b: Buffer) => [...decodeBatch(b, { bytes: 1000 })].map(e => e.timestamp)
  const past = forged(encodeBatch(simple(3)), b => {
    b.writeBigInt64BE(-5000n, BATCH_AT.baseTimestamp)
    b.writeBigInt64BE(-5000n, BATCH_AT.maxTimestamp)
  })
  t.match(checkBatch(past), { oldest: -1, newest: -1, maxTimestamp: -1, count: 3 })
  t.strictSame(read(past), [-1, -1, -1])
  t.match(checkBatch(clampTimestamps(past, { oldest: 7, newest: 9 })), { oldest: 7, newest: 7 })
  // Zigzag varints of ten bytes: the lowest and the highest of 64 bits.
  const lowest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]
  const highest = [0xfe, ...lowest.slice(1)]
  for (const [delta, is] of [
    [lowest, -1],
    [highest, MAX_TIMESTAMP],
  ] as const) {
    const record = [0, ...delta, 0, 1, 1, 0]
    const far = forged(withRecords(Buffer.from([record.length * 2, ...record]), 1), b =>
      b.writeBigInt64BE(BigInt(MAX_TIMESTAMP), BATCH_AT.maxTimestamp),
    )
    t.match(checkBatch(far), { oldest: is, newest: is })
    t.strictSame(read(far), [is])
  }
})

t.test('opening a batch apart says the same as checking it', async t => {
  for (const codec of ['none', 'gzip', 'snappy', 'lz4'] as const) {
    const batch = encodeBatch(simple(3), { codec })
    const open = await openBatch(batch)
    t.strictSame(open.checked, checkBatch(batch), codec)
    t.strictSame(
      [...open.events()].map(e => String(e.value)),
      ['v0', 'v1', 'v2'],
    )
  }
  const bomb = forged(withRecords(gzipSync(Buffer.alloc(50_000_000)), 1), b => b.writeUInt16BE(1, BATCH_AT.attributes))
  const noGzip = forged(encodeBatch(simple(1)), b => b.writeUInt16BE(1, BATCH_AT.attributes))
  for (const bad of [bomb, noGzip]) await t.rejects(openBatch(bad), { message: /BADEVENT/ })
})

t.test('a bomb does not go off', async t => {
  const bomb = forged(withRecords(gzipSync(Buffer.alloc(50_000_000)), 1), b => b.writeUInt16BE(1, BATCH_AT.attributes))
  t.ok(bomb.length < 60_000)
  const before = process.memoryUsage().arrayBuffers
  fails(t, () => checkBatch(bomb), 'BADEVENT')
  fails(t, () => [...decodeBatch(bomb, { bytes: 1_000_000 })], 'BADEVENT')
  t.ok(process.memoryUsage().arrayBuffers - before < 45_000_000)
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

t.test('headers are counted: two bytes of them become objects', async t => {
  const headed = (n: number, headers: number) =>
    encodeBatch(
      Array.from({ length: n }, () => ({
        key: null,
        value: null,
        headers: Array.from({ length: headers }, (): [string, Buffer] => ['', Buffer.alloc(0)]),
        timestamp: 0,
      })),
    )
  t.ok(checkBatch(headed(1, LIMITS.headers)))
  fails(t, () => checkBatch(headed(1, LIMITS.headers + 1)), 'TOOLONG')
  const most = Math.floor(LIMITS.batchHeaders / LIMITS.headers)
  t.ok(checkBatch(headed(most, LIMITS.headers)))
  fails(t, () => checkBatch(headed(most + 1, LIMITS.headers)), 'TOOLONG')
})
