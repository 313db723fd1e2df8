import { AT, codecBits, MAX_TIMESTAMP, writeLong } from './batch-header.js'
import { asBuffer, codecOf } from './codecs.js'
import { crc32c } from './crc.js'
import { fnapError } from './errors.js'
import type { Codec, FlowEvent } from './events.js'
import { LIMITS } from './limits.js'
import { varintSize, writeVarint } from './varint.js'

export interface EncodeOptions {
  /** `none` unless given; one that is registered. */
  readonly codec?: Codec
  /** 0 unless given. */
  readonly baseOffset?: number
}

interface Sized {
  /** Bytes of the record's body, without the varint of its length. */
  readonly body: number
  readonly headers: number
}

const bytesSize = (bytes: Uint8Array | null): number => (bytes === null ? 1 : varintSize(bytes.length) + bytes.length)

function sizeOf(event: FlowEvent, index: number, base: number): Sized {
  let headers = varintSize(event.headers.length)
  for (const [name, value] of event.headers) {
    const size = Buffer.byteLength(name)
    headers += varintSize(size) + size + varintSize(value.length) + value.length
  }
  const stamps = varintSize(event.timestamp - base) + varintSize(index)
  return { body: 1 + stamps + bytesSize(event.key) + bytesSize(event.value) + headers, headers }
}

function writeBytes(out: Buffer, bytes: Uint8Array | null, at: number): number {
  if (bytes === null) return writeVarint(out, -1, at)
  const start = writeVarint(out, bytes.length, at)
  out.set(bytes, start)
  return start + bytes.length
}

function writeRecord(out: Buffer, event: FlowEvent, index: number, base: number, body: number, start: number): number {
  let at = writeVarint(out, body, start)
  out[at++] = 0
  at = writeVarint(out, event.timestamp - base, at)
  at = writeVarint(out, index, at)
  at = writeBytes(out, event.key, at)
  at = writeBytes(out, event.value, at)
  at = writeVarint(out, event.headers.length, at)
  for (const [name, value] of event.headers) {
    at = writeVarint(out, Buffer.byteLength(name), at)
    at += out.write(name, at, 'utf8')
    at = writeBytes(out, value, at)
  }
  return at
}

/**
 * Events as a Kafka record batch, version 2: create time, no producer, leader epoch -1.
 * @throws RangeError for no event at all
 * @throws FnapError BADEVENT for a time stamp that is no whole number from -1, NOTSUPPORTED for a codec that is not there
 */
export function encodeBatch(events: Iterable<FlowEvent>, opt: EncodeOptions = {}): Buffer {
  const list = Array.isArray(events) ? (events as readonly FlowEvent[]) : [...events]
  if (list.length === 0) throw new RangeError('a batch holds at least one event')
  const base = list[0]!.timestamp
  let newest = -1
  let size = AT.records
  const bodies = list.map((event, index) => {
    checkStamp(event.timestamp)
    if (event.timestamp > newest) newest = event.timestamp
    const { body } = sizeOf(event, index, base)
    size += varintSize(body) + body
    return body
  })
  let out = Buffer.allocUnsafe(size)
  let at: number = AT.records
  for (let i = 0; i < list.length; i++) at = writeRecord(out, list[i]!, i, base, bodies[i]!, at)
  const codec = opt.codec ?? 'none'
  if (codec !== 'none') {
    const records = codecOf(codec).compress(out.subarray(AT.records))
    out = Buffer.concat([out.subarray(0, AT.records), records])
  }
  writeHeader(out, { codec, base, newest, count: list.length, baseOffset: opt.baseOffset ?? 0 })
  return out
}

/** The longest batch that fits into a frame, whatever the shard and the cursor beside it. */
export const MOST_BATCH = LIMITS.frame - 1 - 2 * (1 + LIMITS.cursor)
/** A record's length, attributes, time stamp and offset, at their longest. */
const RECORD_HEAD = 5 + 1 + 10 + 5

/**
 * Events as as many batches as it takes for none to pass `most` bytes (but for a single event that does alone) or
 * LIMITS.batchEvents, in order, without compression, each made when it is asked for. None for no events.
 * @throws FnapError BADEVENT as {@link encodeBatch} does, while iterating
 */
export function* encodeBatches(events: Iterable<FlowEvent>, most: number = MOST_BATCH): Generator<Buffer, void, void> {
  let some: FlowEvent[] = []
  let size: number = AT.records
  for (const event of events) {
    const record = RECORD_HEAD + sizeOf(event, 0, event.timestamp).body
    if (some.length > 0 && (size + record > most || some.length === LIMITS.batchEvents)) {
      yield encodeBatch(some)
      some = []
      size = AT.records
    }
    some.push(event)
    size += record
  }
  if (some.length > 0) yield encodeBatch(some)
}

function checkStamp(timestamp: number): void {
  if (!Number.isSafeInteger(timestamp) || timestamp < -1 || timestamp > MAX_TIMESTAMP) {
    throw fnapError('BADEVENT', 'the time stamp of an event is out of range')
  }
}

function writeHeader(
  out: Buffer,
  h: { codec: Codec; base: number; newest: number; count: number; baseOffset: number },
): void {
  writeLong(out, h.baseOffset, AT.baseOffset)
  out.writeInt32BE(out.length - 12, AT.length)
  out.writeInt32BE(-1, AT.leaderEpoch)
  out[AT.magic] = 2
  out.writeUInt16BE(codecBits(h.codec), AT.attributes)
  out.writeInt32BE(h.count - 1, AT.lastOffsetDelta)
  writeLong(out, h.base, AT.baseTimestamp)
  writeLong(out, h.newest, AT.maxTimestamp)
  writeLong(out, -1, AT.producerId)
  out.writeInt16BE(-1, AT.producerEpoch)
  out.writeInt32BE(-1, AT.baseSequence)
  out.writeInt32BE(h.count, AT.count)
  out.writeUInt32BE(crc32c(out.subarray(AT.attributes)), AT.crc)
}

/** A copy with another base offset and no leader epoch. Neither is under the CRC. */
export const rebase = (bytes: Uint8Array, baseOffset: number): Buffer => rebaseInPlace(Buffer.from(bytes), baseOffset)

/** The same in the caller's own bytes, for who owns them: a log that is about to write. */
export function rebaseInPlace(bytes: Uint8Array, baseOffset: number): Buffer {
  if (!Number.isSafeInteger(baseOffset) || baseOffset < 0) throw new RangeError('an offset is a whole number from 0')
  const buffer = asBuffer(bytes)
  writeLong(buffer, baseOffset, AT.baseOffset)
  buffer.writeInt32BE(-1, AT.leaderEpoch)
  return buffer
}
