import {
  BATCH_AT as AT,
  asBuffer,
  crc32c,
  fnapError,
  MAX_TIMESTAMP,
  VarintReader,
  varintSize,
  writeVarint,
} from '@fnaa/protocol'

/** Append time, transaction, control, delete horizon: what makes a batch more than its records. */
const SPECIAL = 0x08 | 0x10 | 0x20 | 0x40

/** Bytes: batches below the first are put together with what follows them, up to the second. */
export const MERGE = { below: 16_384, upTo: 262_144 } as const

/**
 * May it be merged with others? Its records are not compressed, nothing about it is special, and it counts from a
 * time that is one, to one: from another, its neighbours' events might be further away than a record can say.
 */
export function mergeable(bytes: Uint8Array): boolean {
  const b = asBuffer(bytes)
  return (
    (b.readInt16BE(AT.attributes) & (7 | SPECIAL)) === 0 && isTime(b, AT.baseTimestamp) && isTime(b, AT.maxTimestamp)
  )
}
const END = BigInt(MAX_TIMESTAMP)

function isTime(b: Buffer, at: number): boolean {
  const time = b.readBigInt64BE(at)
  return time >= -1n && time < END
}

/**
 * Several uncompressed batches as one: what a record says of its place and its time is relative to its batch and is written anew;
 * its key, value and headers are copied as they are, unread.
 * @param list batches for which {@link mergeable} holds, in order
 * @throws FnapError BADEVENT for a record that does not end where its batch does
 */
export function mergeBatches(list: readonly Uint8Array[]): Buffer {
  const base = Number(asBuffer(list[0]!).readBigInt64BE(AT.baseTimestamp))
  // Place and time of a record may take more bytes than before: 5 and 10 at most.
  const most = list.reduce<number>((n, b) => n + b.length + asBuffer(b).readInt32BE(AT.count) * 16, AT.records)
  const out = Buffer.allocUnsafe(most)
  let at: number = AT.records
  let count = 0
  let newest = -1
  for (const one of list) {
    const bytes = asBuffer(one)
    if (bytes.readUInt32BE(AT.crc) !== crc32c(bytes.subarray(AT.attributes)))
      throw fnapError('BADEVENT', 'the checksum of a batch is wrong')
    const shift = Number(bytes.readBigInt64BE(AT.baseTimestamp)) - base
    newest = Math.max(newest, Number(bytes.readBigInt64BE(AT.maxTimestamp)))
    const r = new VarintReader(bytes.subarray(AT.records))
    for (let n = bytes.readInt32BE(AT.count); n > 0; n--) at = moveRecord(r, out, at, shift, count++)
  }
  out.fill(0, 0, AT.records)
  out.writeInt32BE(at - 12, AT.length)
  out.writeInt32BE(-1, AT.leaderEpoch)
  out.writeInt8(2, AT.magic)
  out.writeInt32BE(count - 1, AT.lastOffsetDelta)
  out.writeBigInt64BE(BigInt(base), AT.baseTimestamp)
  out.writeBigInt64BE(BigInt(newest), AT.maxTimestamp)
  out.writeBigInt64BE(-1n, AT.producerId)
  out.writeInt16BE(-1, AT.producerEpoch)
  out.writeInt32BE(-1, AT.baseSequence)
  out.writeInt32BE(count, AT.count)
  out.writeUInt32BE(crc32c(out.subarray(AT.attributes, at)), AT.crc)
  return out.subarray(0, at)
}

/** Milliseconds: from a time that is one, what lies further away is none. */
const FAR = 2 ** 50

function moveRecord(r: VarintReader, out: Buffer, start: number, shift: number, index: number): number {
  const length = r.int()
  const end = r.at + length
  const attributes = r.bytes[r.skip(1)]!
  // Further than any time is from any other is as far as that.
  const time = Math.max(-FAR, Math.min(FAR, r.long() + shift))
  r.int()
  const rest = r.bytes.subarray(r.at, end)
  r.skip(end - r.at)
  let at = writeVarint(out, 1 + varintSize(time) + varintSize(index) + rest.length, start)
  out[at++] = attributes
  at = writeVarint(out, time, at)
  at = writeVarint(out, index, at)
  out.set(rest, at)
  return at + rest.length
}
