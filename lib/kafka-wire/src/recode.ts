import {
  BATCH_AT as AT,
  asBuffer,
  codecOf,
  crc32c,
  encodeBatch,
  type FlowEvent,
  fnapError,
  LIMITS,
  readBatchHeader,
  timestampOf,
  VarintReader,
} from '@fnaa/protocol'

/** Counts; unbounded if absent. */
export interface RecodeLimits {
  readonly events?: number
  readonly headers?: number
}

/**
 * A batch made anew of what is left of it: without the holes that compaction made, without the events before `from`, with the
 * broker's time in each event where that is what holds. Null where nothing is left.
 * @param from the offset of the first event that is wanted
 * @throws FnapError BADEVENT, TOOLONG, NOTSUPPORTED (its codec is not here)
 */
export function recode(bytes: Uint8Array, from: number, most: RecodeLimits = {}): Buffer | null {
  const header = readBatchHeader(bytes)
  const b = asBuffer(bytes)
  if (header.crc !== crc32c(b.subarray(AT.attributes))) throw fnapError('BADEVENT', 'the checksum of a batch is wrong')
  // Behind a delete horizon (KIP-534) the base is that horizon, and times are still relative to it.
  const r = new VarintReader(codecOf(header.codec).expand(b.subarray(AT.records, header.length), LIMITS.expanded))
  const events: FlowEvent[] = []
  let first = -1
  let before = -1
  let headers = 0
  if (header.count > (most.events ?? Number.POSITIVE_INFINITY))
    throw fnapError('TOOLONG', 'a batch has too many events')
  for (let n = header.count; n > 0; n--) {
    const { event, offset } = record(r, header.baseTimestamp)
    if (offset <= before || offset > header.lastOffsetDelta)
      throw fnapError('BADEVENT', 'the offsets of a batch are not in order')
    before = offset
    headers += event.headers.length
    if (headers > (most.headers ?? Number.POSITIVE_INFINITY))
      throw fnapError('TOOLONG', 'the events of a batch have too many headers')
    if (header.baseOffset + offset < from) continue
    if (first < 0) first = header.baseOffset + offset
    events.push(header.logAppendTime ? { ...event, timestamp: header.maxTimestamp } : event)
  }
  return events.length === 0 ? null : encodeBatch(events, { codec: header.codec, baseOffset: first })
}

function record(r: VarintReader, base: number): { event: FlowEvent; offset: number } {
  const end = r.int() + r.at
  r.skip(1)
  const timestamp = timestampOf(base + r.long())
  const offset = r.int()
  const key = field(r)
  const value = field(r)
  const headers: [string, Uint8Array][] = []
  const count = r.int()
  // Each has two bytes at least.
  if (count < 0 || count > (end - r.at) / 2) throw fnapError('BADEVENT', 'a record counts more headers than it holds')
  for (let n = count; n > 0; n--) {
    const name = field(r)
    headers.push([Buffer.from(name ?? []).toString('utf8'), field(r) ?? new Uint8Array()])
  }
  if (r.at !== end) throw fnapError('BADEVENT', 'a record does not end where it says')
  return { event: { key, value, headers, timestamp }, offset }
}

function field(r: VarintReader): Uint8Array | null {
  const length = r.int()
  if (length < 0) return null
  const at = r.skip(length)
  return r.bytes.subarray(at, at + length)
}
