import { asBuffer } from './codecs.js'
import { fnapError } from './errors.js'
import type { Codec } from './events.js'

// The header of Kafka's record batch, version 2 (big-endian). The CRC-32C covers everything from the attributes on, so
// the base offset and the leader epoch may change without it.
export const AT = Object.freeze({
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  count: 57,
  records: 61,
})

/** All that there are, in the order of their numbers. */
export const CODECS: readonly Codec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const CODEC_BITS = 0x07
export const LOG_APPEND_TIME = 0x08
export const TRANSACTIONAL = 0x10
export const CONTROL = 0x20

/**
 * The last millisecond of the year 9999, the last one that RFC 3339 can write. A later time, such as of a producer that counts in
 * microseconds, is read as this one.
 */
export const MAX_TIMESTAMP = 253_402_300_799_999

/**
 * A time as it stands in a batch, as what may be made of it: anybody who writes into a topic puts there what they like, and one odd
 * time must not end the reading of what stands behind it.
 * @returns milliseconds since 1970; -1, none, for what is before; MAX_TIMESTAMP for what is later
 */
export const timestampOf = (ms: number): number => (ms < 0 ? -1 : Math.min(MAX_TIMESTAMP, ms))

/** What a batch says of itself. Time stamps are in milliseconds since 1970, -1 for none. */
export interface BatchHeader {
  readonly baseOffset: number
  /** Bytes of the whole batch, its first 12 included. */
  readonly length: number
  readonly leaderEpoch: number
  readonly crc: number
  readonly attributes: number
  readonly codec: Codec
  /** All events have the time stamp `maxTimestamp`: when the broker got them. */
  readonly logAppendTime: boolean
  readonly transactional: boolean
  readonly control: boolean
  readonly lastOffsetDelta: number
  /** What its records count from: as it stands there, without the last digits where it has more than 53 bits. */
  readonly baseTimestamp: number
  /** -1 to MAX_TIMESTAMP. */
  readonly maxTimestamp: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly count: number
}

/** A 64-bit number that fits into 53 bits. */
function readOffset(bytes: Buffer, at: number): number {
  const n = readLong(bytes, at)
  if (!Number.isSafeInteger(n)) throw fnapError('BADEVENT', 'the offset of a batch is out of range')
  return n
}

/** A 64-bit number as near as 53 bits come to it. */
const readLong = (bytes: Buffer, at: number): number => bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)

export const codecBits = (codec: Codec): number => CODECS.indexOf(codec)

/**
 * Reads the header at the start of `bytes`; what follows it may still be missing.
 * @throws FnapError BADEVENT for fewer than 61 bytes, another version, an unknown codec or numbers out of range
 */
export function readBatchHeader(bytes: Uint8Array): BatchHeader {
  const b = asBuffer(bytes)
  if (b.length < AT.records) throw fnapError('BADEVENT', 'a batch is shorter than its header')
  if (b[AT.magic] !== 2) throw fnapError('BADEVENT', 'a batch is not of version 2')
  const length = b.readInt32BE(AT.length) + 12
  const attributes = b.readUInt16BE(AT.attributes)
  const codec = CODECS[attributes & CODEC_BITS]
  const count = b.readInt32BE(AT.count)
  if (length < AT.records) throw fnapError('BADEVENT', 'a batch is shorter than its header')
  if (codec === undefined) throw fnapError('BADEVENT', 'a batch has an unknown codec')
  if (count < 0) throw fnapError('BADEVENT', 'a batch counts fewer than no records')
  return {
    baseOffset: readOffset(b, AT.baseOffset),
    length,
    leaderEpoch: b.readInt32BE(AT.leaderEpoch),
    crc: b.readUInt32BE(AT.crc),
    attributes,
    codec,
    logAppendTime: (attributes & LOG_APPEND_TIME) !== 0,
    transactional: (attributes & TRANSACTIONAL) !== 0,
    control: (attributes & CONTROL) !== 0,
    lastOffsetDelta: b.readInt32BE(AT.lastOffsetDelta),
    baseTimestamp: readLong(b, AT.baseTimestamp),
    maxTimestamp: timestampOf(readLong(b, AT.maxTimestamp)),
    producerEpoch: b.readInt16BE(AT.producerEpoch),
    baseSequence: b.readInt32BE(AT.baseSequence),
    count,
  }
}

/** Writes a 64-bit number of up to 53 bits. */
export function writeLong(bytes: Buffer, n: number, at: number): void {
  bytes.writeInt32BE(Math.floor(n / 2 ** 32), at)
  bytes.writeUInt32BE(n - Math.floor(n / 2 ** 32) * 2 ** 32, at + 4)
}
