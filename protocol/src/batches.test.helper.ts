import fc from 'fast-check'
import { BATCH_AT, crc32c, encodeBatch, type FlowEvent } from './index.js'

// Batches for tests: arbitrary events, and ways to break what was encoded.

export const BIG = { bytes: 10_000_000 }
const bytes = fc.uint8Array({ maxLength: 40 })
export const event: fc.Arbitrary<FlowEvent> = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 6 }), bytes), { maxLength: 3 }),
  timestamp: fc.oneof(
    fc.constantFrom(-1, 0, 253_402_300_799_999),
    fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 }),
  ),
})
export const events = fc.array(event, { minLength: 1, maxLength: 12 })
export const codec = fc.constantFrom('none' as const, 'gzip' as const, 'snappy' as const, 'lz4' as const)
const hex = (b: Uint8Array | null) => (b === null ? null : Buffer.from(b).toString('hex'))
export const show = (list: Iterable<FlowEvent>) =>
  JSON.stringify([...list].map(e => [hex(e.key), hex(e.value), e.headers.map(([k, v]) => [k, hex(v)]), e.timestamp]))
export const simple = (n: number, timestamp = 1000): FlowEvent[] =>
  Array.from({ length: n }, (_, i) => ({
    key: null,
    value: Buffer.from(`v${i}`),
    headers: [],
    timestamp: timestamp + i,
  }))
/** A changed copy whose checksum is right again. */
export function forged(batch: Buffer, change: (b: Buffer) => void): Buffer {
  const copy = Buffer.from(batch)
  change(copy)
  copy.writeUInt32BE(crc32c(copy.subarray(BATCH_AT.attributes)), BATCH_AT.crc)
  return copy
}
/** A batch with these bytes as its records. */
export function withRecords(records: Buffer, count: number): Buffer {
  const head = encodeBatch(simple(1)).subarray(0, BATCH_AT.records)
  return forged(Buffer.concat([head, records]), b => {
    b.writeInt32BE(b.length - 12, BATCH_AT.length)
    b.writeInt32BE(count, BATCH_AT.count)
    b.writeInt32BE(count - 1, BATCH_AT.lastOffsetDelta)
  })
}
