import { isUtf8 } from 'node:buffer'
import { AT, type BatchHeader, LOG_APPEND_TIME, readBatchHeader, timestampOf } from './batch-header.js'
import { asBuffer, codecOf, isCodecUnavailable } from './codecs.js'
import { crc32c } from './crc.js'
import { fnapError } from './errors.js'
import type { FlowEvent } from './events.js'
import { LIMITS } from './limits.js'
import { VarintReader } from './varint.js'

/** Bounds for a batch from a stranger, in bytes unless it says otherwise. Those of LIMITS when not given. */
export interface BatchLimits {
  /** The batch as it came. */
  readonly bytes?: number
  /** Its records, expanded. */
  readonly expanded?: number
  /** Key, value and headers of one event. */
  readonly event?: number
  /** Its events (a count). */
  readonly events?: number
}

/** A batch that was looked through: its header, and what its records really hold. */
export interface CheckedBatch extends BatchHeader {
  /** The oldest and the newest time stamp of its events, milliseconds since 1970; -1 for none. */
  readonly oldest: number
  readonly newest: number
  /** Bytes of its records, expanded. */
  readonly expanded: number
}

const bad = (sentence: string) => fnapError('BADEVENT', sentence)

/**
 * Looks through a batch from outside before it is stored or passed on: version, length, CRC-32C, counts, offsets without
 * holes, no control or transaction marks, every record inside its bounds, time stamps that are times, and no more than
 * `limits` of bytes, compressed and expanded, and of events.
 * @throws FnapError BADEVENT, TOOLONG (the batch or an event), NOTSUPPORTED when its codec is not there to look inside
 */
export function checkBatch(bytes: Uint8Array, limits: BatchLimits = {}): CheckedBatch {
  const header = checkHeader(bytes, limits)
  return checkRecords(header, expandRecords(bytes, header, limits.expanded ?? LIMITS.expanded), limits)
}

/**
 * The same as {@link checkBatch} for who passes batches on: one whose codec is not here can be passed on all the same, and is
 * checked as far as its header goes; its time stamps are then those of the header.
 * @throws FnapError BADEVENT, TOOLONG
 */
export function checkPassing(bytes: Uint8Array, limits: BatchLimits = {}): CheckedBatch {
  try {
    return checkBatch(bytes, limits)
  } catch (e) {
    if (!isCodecUnavailable(e)) throw e
    const header = checkHeader(bytes, limits)
    const { maxTimestamp } = header
    const oldest = Math.min(timestampOf(header.baseTimestamp), maxTimestamp)
    return { ...header, oldest, newest: maxTimestamp, expanded: header.length - AT.records }
  }
}

/** A batch that was looked through, and its events, which need not be expanded again. */
export interface OpenBatch {
  readonly checked: CheckedBatch
  events(): Generator<FlowEvent, void, void>
}

/**
 * The same as {@link checkBatch} for who must not be held up: what is compressed is expanded on another thread. A few bytes can
 * expand to many, so who lets strangers do this does it for few of them at once.
 */
export async function openBatch(bytes: Uint8Array, limits: BatchLimits = {}): Promise<OpenBatch> {
  const header = checkHeader(bytes, limits)
  const codec = codecOf(header.codec)
  const limit = limits.expanded ?? LIMITS.expanded
  const records = codec.expandApart
    ? await codec.expandApart(recordsOf(bytes, header), limit)
    : codec.expand(recordsOf(bytes, header), limit)
  const checked = checkRecords(header, records, limits)
  return { checked, events: () => decodeRecords(header, records) }
}

function checkHeader(bytes: Uint8Array, limits: BatchLimits): BatchHeader {
  if (bytes.length > (limits.bytes ?? LIMITS.frame)) throw fnapError('TOOLONG', 'the batch is too long')
  const header = readBatchHeader(bytes)
  if (header.length !== bytes.length) throw bad('the length of a batch is not what it says')
  if (header.crc !== crc32c(bytes.subarray(AT.attributes))) throw bad('the checksum of a batch is wrong')
  if ((header.attributes & ~(7 | LOG_APPEND_TIME)) !== 0) throw bad('a batch is marked as control or transactional')
  if (header.count < 1 || header.lastOffsetDelta !== header.count - 1) throw bad('the offsets of a batch have holes')
  if (header.count > (limits.events ?? LIMITS.batchEvents)) throw fnapError('TOOLONG', 'a batch has too many events')
  if (header.baseOffset < 0) throw bad('the offset of a batch is below zero')
  return header
}

function checkRecords(header: BatchHeader, records: Buffer, limits: BatchLimits): CheckedBatch {
  // A record has at least seven bytes: a count that cannot be is refused before the walk.
  if (header.count > records.length / 7) throw bad('a batch counts more records than it holds')
  const found = walk(records, header, limits.event ?? LIMITS.event)
  if (!header.logAppendTime && found.newest > header.maxTimestamp) throw bad('a batch hides its newest time stamp')
  const stamps = header.logAppendTime ? { oldest: header.maxTimestamp, newest: header.maxTimestamp } : found
  return { ...header, ...stamps, expanded: records.length }
}

function recordsOf(bytes: Uint8Array, header: BatchHeader): Buffer {
  if (header.length > bytes.length) throw bad('a batch ends inside a record')
  return asBuffer(bytes).subarray(AT.records, header.length)
}

const expandRecords = (bytes: Uint8Array, header: BatchHeader, limit: number): Buffer =>
  codecOf(header.codec).expand(recordsOf(bytes, header), limit)

function walk(records: Buffer, header: BatchHeader, maxEvent: number): { oldest: number; newest: number } {
  const reader = new VarintReader(records)
  let oldest = Number.POSITIVE_INFINITY
  let newest = -1
  let headers = 0
  for (let index = 0; index < header.count; index++) {
    const end = startRecord(reader)
    const timestamp = timestampOf(header.baseTimestamp + reader.long())
    if (timestamp < oldest) oldest = timestamp
    if (timestamp > newest) newest = timestamp
    if (reader.int() !== index) throw bad('the offsets of a batch have holes')
    const fields = skipField(reader, end) + skipField(reader, end)
    const found = walkHeaders(reader, end)
    headers += found.count
    if (headers > LIMITS.batchHeaders) throw fnapError('TOOLONG', 'the events of a batch have too many headers')
    const size = fields + found.size
    if (size > maxEvent) throw fnapError('TOOLONG', 'an event of the batch is too long')
    if (reader.at !== end) throw bad('a record is not as long as it says')
  }
  if (reader.at !== records.length) throw bad('a batch holds more than it counts')
  return { oldest, newest }
}

/** Length and attributes of a record; gives where it ends. */
function startRecord(reader: VarintReader): number {
  const length = reader.int()
  const start = reader.skip(length)
  reader.at = start
  reader.skip(1)
  return start + length
}

/** Steps over a key or a value; -1 is none. */
function skipField(reader: VarintReader, end: number): number {
  const length = reader.int()
  if (length === -1) return 0
  reader.skip(length)
  if (reader.at > end) throw bad('a record is not as long as it says')
  return length
}

function walkHeaders(reader: VarintReader, end: number): { count: number; size: number } {
  const count = reader.int()
  if (count < 0 || count > end - reader.at) throw bad('a record counts more headers than it holds')
  if (count > LIMITS.headers) throw fnapError('TOOLONG', 'an event has too many headers')
  let size = 0
  for (let i = 0; i < count; i++) {
    const length = reader.int()
    const from = reader.skip(length)
    if (!isUtf8(reader.bytes.subarray(from, from + length))) throw bad('the name of a header is not UTF-8')
    size += length + skipField(reader, end)
  }
  return { count, size }
}

/**
 * The events of a batch, one by one; their bytes are views into it (or into its expanded records). Trusts the CRC, which
 * checkBatch has seen.
 * @param limit bytes that the records may expand to
 * @throws FnapError BADEVENT, NOTSUPPORTED (codec), while iterating
 */
export function* decodeBatch(bytes: Uint8Array, limit: { readonly bytes: number }): Generator<FlowEvent, void, void> {
  const header = readBatchHeader(bytes)
  yield* decodeRecords(header, expandRecords(bytes, header, limit.bytes))
}

function* decodeRecords(header: BatchHeader, records: Buffer): Generator<FlowEvent, void, void> {
  const reader = new VarintReader(records)
  for (let index = 0; index < header.count; index++) {
    const end = startRecord(reader)
    const own = timestampOf(header.baseTimestamp + reader.long())
    reader.int()
    const key = readField(reader, records)
    const value = readField(reader, records)
    const headers = readHeaders(reader, records, end)
    if (reader.at !== end) throw bad('a record is not as long as it says')
    yield { key, value, headers, timestamp: header.logAppendTime ? header.maxTimestamp : own }
  }
}

function readField(reader: VarintReader, records: Buffer): Buffer | null {
  const length = reader.int()
  if (length === -1) return null
  const from = reader.skip(length)
  return records.subarray(from, from + length)
}

const NO_HEADERS: FlowEvent['headers'] = Object.freeze([])
const EMPTY = Buffer.alloc(0)

function readHeaders(reader: VarintReader, records: Buffer, end: number): FlowEvent['headers'] {
  const count = reader.int()
  if (count === 0) return NO_HEADERS
  if (count < 0 || count > end - reader.at) throw bad('a record counts more headers than it holds')
  const headers: (readonly [string, Uint8Array])[] = []
  for (let i = 0; i < count; i++) {
    const length = reader.int()
    const from = reader.skip(length)
    headers.push([records.toString('utf8', from, from + length), readField(reader, records) ?? EMPTY])
  }
  return headers
}
