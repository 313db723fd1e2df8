import { randomBytes } from 'node:crypto'
import {
  BATCH_AT as AT,
  checkBatch,
  crc32c,
  decodeBatch,
  encodeBatch,
  type FlowEvent,
  MAX_TIMESTAMP,
  readBatchHeader,
  rebase,
} from '@fnaa/protocol'
import t from 'tap'
import { cutBatches, isAppendTime, isHoled, stamped, unmark } from './batches.js'
import { mergeable, mergeBatches } from './merge.js'
import { recode } from './recode.js'

const MOST = { bytes: 1 << 20 }
const event = (i: number, timestamp = 1_700_000_000_000 + i): FlowEvent => ({
  key: i % 3 === 0 ? null : Buffer.from(`k${i}`),
  value: i % 5 === 0 ? null : randomBytes(i % 200),
  headers: [['h', Buffer.from([i])]],
  timestamp,
})
const events = (n: number, from = 0) => Array.from({ length: n }, (_, i) => event(from + i))
const plain = (e: Iterable<FlowEvent>) =>
  [...e].map(x => [x.key && Buffer.from(x.key), x.value && Buffer.from(x.value), x.timestamp, x.headers.length])
/** A batch whose header says something else, with a checksum that is right. */
function forged(bytes: Buffer, change: (b: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes)
  change(copy)
  copy.writeUInt32BE(crc32c(copy.subarray(AT.attributes)), AT.crc)
  return copy
}

t.test('a record set is cut into batches; the beginning of another is left out', async t => {
  const [a, b] = [encodeBatch(events(3)), rebase(encodeBatch(events(2)), 3)]
  const { batches, partial } = cutBatches(Buffer.concat([a, b, a.subarray(0, 70)]))
  t.same(
    batches.map(x => [x.baseOffset, x.lastOffset, x.count]),
    [
      [0, 2, 3],
      [3, 4, 2],
    ],
  )
  t.ok(partial)
  t.same(cutBatches(Buffer.concat([a, b])).partial, false)
  t.match(cutBatches(Buffer.alloc(200)).batches, [{ magic: 0 }], 'zeros are of no version that is known')
})

t.test('a batch is stamped for its new place, its records untouched', async t => {
  for (const codec of ['none', 'gzip'] as const) {
    const bytes = encodeBatch(events(20), { codec, baseOffset: 77 })
    const [header, records] = stamped(bytes, { producerId: 5n, producerEpoch: 3, sequence: 9, transactional: false })
    t.equal(records.buffer, bytes.buffer, 'not copied')
    const whole = Buffer.concat([header, records])
    t.match(checkBatch(whole), { baseOffset: 0, count: 20, producerEpoch: 3, baseSequence: 9, codec })
    t.equal(whole.readBigInt64BE(AT.producerId), 5n)
    t.same(plain(decodeBatch(whole, MOST)), plain(decodeBatch(bytes, MOST)))
  }
  const bytes = encodeBatch(events(20))
  bytes[bytes.length - 1]! ^= 1
  const damaged = Buffer.concat(stamped(bytes, { producerId: 5n, producerEpoch: 3, sequence: 9, transactional: true }))
  t.throws(() => checkBatch(damaged), /checksum/, 'damage does not go unnoticed')
})

t.test('marks of a transaction are taken out', async t => {
  const bytes = forged(encodeBatch(events(4)), b => b.writeInt16BE(0x10, AT.attributes))
  t.throws(() => checkBatch(bytes))
  unmark(cutBatches(bytes).batches[0]!)
  t.match(checkBatch(bytes), { count: 4, producerEpoch: -1 })
})

t.test('small batches become one', async t => {
  const parts = [events(1), events(3, 10), [event(2, 1_600_000_000_000)], events(40, 20)]
  const merged = mergeBatches(parts.map(p => encodeBatch(p)))
  t.match(checkBatch(merged), { count: 45, oldest: 1_600_000_000_000, codec: 'none' })
  t.same(plain(decodeBatch(merged, MOST)), plain(parts.flat()))
  t.notOk(mergeable(encodeBatch(events(1), { codec: 'gzip' })))
  t.notOk(mergeable(forged(encodeBatch(events(1)), b => b.writeInt16BE(8, AT.attributes))), 'its time is the broker’s')
  const lowest = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01])
  const one = encodeBatch([{ key: null, value: null, headers: [], timestamp: 5 }])
  const records = Buffer.concat([one.subarray(AT.records + 1, AT.records + 2), lowest, one.subarray(AT.records + 3)])
  const far = forged(Buffer.concat([one.subarray(0, AT.records), Buffer.from([records.length * 2]), records]), b =>
    b.writeInt32BE(b.length - 12, AT.length),
  )
  const both = mergeBatches([encodeBatch([{ key: null, value: null, headers: [], timestamp: 9 }]), far])
  t.match(checkBatch(both), { oldest: -1, newest: 9, count: 2 }, 'a time out of all reach is none afterwards too')
  for (const at of [AT.baseTimestamp, AT.maxTimestamp])
    for (const time of [2n ** 62n, BigInt(MAX_TIMESTAMP), -2n])
      t.notOk(mergeable(forged(encodeBatch(events(1)), b => b.writeBigInt64BE(time, at))), `a time of ${time}`)
  const damaged = encodeBatch(events(2))
  damaged[70]! ^= 1
  t.throws(() => mergeBatches([damaged]), /checksum/)
})

t.test('a batch with holes is made anew of what is left', async t => {
  // As compaction leaves it: the count is less than the offsets say, and the records keep their own.
  const all = events(5)
  const holed = forged(mergeBatches([encodeBatch(all)]), b => b.writeInt32BE(7, AT.lastOffsetDelta))
  const [cut] = cutBatches(holed).batches
  t.ok(isHoled(cut!))
  t.same(plain(decodeBatch(recode(holed, 0)!, MOST)), plain(all))
  t.same(plain(decodeBatch(recode(holed, 3)!, MOST)), plain(all.slice(3)), 'without what stands before')
  t.equal(readBatchHeader(recode(holed, 3)!).baseOffset, 3)
  t.equal(recode(holed, 5), null, 'nothing is left')
  const stamp = forged(encodeBatch(all), b => {
    b.writeInt16BE(8, AT.attributes)
    b.writeBigInt64BE(1_800_000_000_000n, AT.maxTimestamp)
  })
  t.ok(isAppendTime(cutBatches(stamp).batches[0]!))
  t.ok([...decodeBatch(recode(stamp, 0)!, MOST)].every(e => e.timestamp === 1_800_000_000_000))
})
