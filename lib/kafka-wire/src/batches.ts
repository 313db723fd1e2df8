import { BATCH_AT as AT, asBuffer, crc32c } from '@fnaa/protocol'
import { replaceHead } from './crc-shift.js'

const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const DELETE_HORIZON = 0x40
const CODEC = 0x07

/** A record batch as a fetch gives it, its header looked at and nothing else. */
export interface FetchedBatch {
  readonly bytes: Buffer
  readonly baseOffset: number
  /** The offset of its last event, which stays where compaction took that event. */
  readonly lastOffset: number
  readonly count: number
  /** 2 is the version that is understood. */
  readonly magic: number
  readonly producerId: bigint
  readonly attributes: number
}

const UNREAD = { baseOffset: -1, lastOffset: -1, count: 0, producerId: -1n, attributes: 0 } as const

/**
 * Cuts a fetch's record set into batches. The last may be there in part only and is left out.
 * @returns the batches, and whether something stood behind them that is no whole batch
 */
export function cutBatches(records: Buffer): { readonly batches: FetchedBatch[]; readonly partial: boolean } {
  const batches: FetchedBatch[] = []
  let at = 0
  while (records.length - at > AT.magic) {
    const magic = records.readInt8(at + AT.magic)
    if (magic !== 2) {
      // Of a version that lies otherwise: its reader says so.
      batches.push({ ...UNREAD, bytes: records.subarray(at), magic })
      break
    }
    const length = records.readInt32BE(at + AT.length) + 12
    if (length < AT.records || at + length > records.length) break
    const baseOffset = Number(records.readBigInt64BE(at + AT.baseOffset))
    batches.push({
      bytes: records.subarray(at, at + length),
      baseOffset,
      lastOffset: baseOffset + records.readInt32BE(at + AT.lastOffsetDelta),
      count: records.readInt32BE(at + AT.count),
      magic,
      producerId: records.readBigInt64BE(at + AT.producerId),
      attributes: records.readInt16BE(at + AT.attributes),
    })
    at += length
  }
  return { batches, partial: at < records.length }
}

/** Does its checksum hold? */
export const isIntact = (b: FetchedBatch): boolean =>
  b.bytes.readUInt32BE(AT.crc) === crc32c(b.bytes.subarray(AT.attributes))
export const isControl = (b: FetchedBatch): boolean => (b.attributes & CONTROL) !== 0
export const isTransactional = (b: FetchedBatch): boolean => (b.attributes & TRANSACTIONAL) !== 0
/** Compaction has taken events out of it, or its first time stamp is no time stamp any more: a broker would refuse it as it is. */
export const isHoled = (b: FetchedBatch): boolean =>
  b.count !== b.lastOffset - b.baseOffset + 1 || (b.attributes & DELETE_HORIZON) !== 0
/** All its events have the time at which their broker got them, whatever stands in them. */
export const isAppendTime = (b: { readonly attributes: number }): boolean => (b.attributes & LOG_APPEND_TIME) !== 0

/** Takes a producer's marks out of a batch, in place: who reads it next is not in that transaction. */
export function unmark(b: FetchedBatch): void {
  rewrite(b.bytes, header => {
    header.writeInt16BE(header.readInt16BE(AT.attributes) & ~TRANSACTIONAL, AT.attributes)
    header.writeBigInt64BE(-1n, AT.producerId)
    header.writeInt16BE(-1, AT.producerEpoch)
    header.writeInt32BE(-1, AT.baseSequence)
  })
}

export interface Stamp {
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly sequence: number
  readonly transactional: boolean
}

/**
 * A batch as Produce takes it, in two pieces: a header of our own and the records from where they lie. Its base offset is 0, and
 * its producer is ours. The checksum follows without a look at the records ({@link replaceHead}): what was damaged on its way
 * here is refused by the broker that it goes to.
 */
export function stamped(bytes: Uint8Array, by: Stamp): [header: Buffer, records: Uint8Array] {
  const header = Buffer.from(bytes.subarray(0, AT.records))
  const before = crc32c(header.subarray(AT.attributes))
  header.writeBigInt64BE(0n, AT.baseOffset)
  header.writeInt32BE(-1, AT.leaderEpoch)
  const attributes = (header.readInt16BE(AT.attributes) & CODEC) | (by.transactional ? TRANSACTIONAL : 0)
  header.writeInt16BE(attributes, AT.attributes)
  header.writeBigInt64BE(by.producerId, AT.producerId)
  header.writeInt16BE(by.producerEpoch, AT.producerEpoch)
  header.writeInt32BE(by.sequence, AT.baseSequence)
  const after = crc32c(header.subarray(AT.attributes))
  const crc = replaceHead(header.readUInt32BE(AT.crc), before, after, bytes.length - AT.records)
  header.writeUInt32BE(crc, AT.crc)
  return [header, bytes.subarray(AT.records)]
}

function rewrite(bytes: Uint8Array, change: (header: Buffer) => void): void {
  const header = asBuffer(bytes).subarray(0, AT.records)
  const before = crc32c(header.subarray(AT.attributes))
  change(header)
  const after = crc32c(header.subarray(AT.attributes))
  header.writeUInt32BE(replaceHead(header.readUInt32BE(AT.crc), before, after, bytes.length - AT.records), AT.crc)
}
