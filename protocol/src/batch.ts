import { decodeBatch } from './batch-decode.js'
import { encodeBatch } from './batch-encode.js'
import { readBatchHeader } from './batch-header.js'
import { asBuffer } from './codecs.js'
import type { Batch, Codec, FlowEvent } from './events.js'
import { LIMITS } from './limits.js'

/** What `bytes` may expand to where a batch is taken apart here. */
const DEFAULT_LIMIT = { bytes: LIMITS.expanded }

/**
 * A batch as sources and sinks hand it on: the raw bytes, decoded only when someone asks for the events.
 * @param b.last the cursor to commit once the batch is durable
 * @throws FnapError BADEVENT when the header cannot be read
 */
export function batchOf(b: {
  readonly shard: string
  readonly last: string
  readonly bytes: Uint8Array
  readonly oldest?: number
  readonly made?: Batch['made']
}): Batch {
  const header = readBatchHeader(b.bytes)
  return {
    shard: b.shard,
    last: b.last,
    count: header.count,
    newest: header.maxTimestamp,
    ...(b.oldest !== undefined && { oldest: b.oldest }),
    ...(b.made && { made: b.made }),
    raw: { format: 'kafka-v2', codec: header.codec, bytes: b.bytes },
    events: limit => decodeBatch(b.bytes, limit),
  }
}

/**
 * The batch in two, the first `at` events and the rest, encoded anew with the same codec.
 * @throws RangeError when `at` is not inside the batch
 * @throws FnapError BADEVENT, NOTSUPPORTED (codec)
 */
export function splitBatch(bytes: Uint8Array, at: number, limit = DEFAULT_LIMIT): [Buffer, Buffer] {
  const { codec, baseOffset, count } = readBatchHeader(bytes)
  if (!(Number.isInteger(at) && at > 0 && at < count)) throw new RangeError('a batch is split between two events')
  const events = [...decodeBatch(bytes, limit)]
  return [
    encodeBatch(events.slice(0, at), { codec, baseOffset }),
    encodeBatch(events.slice(at), { codec, baseOffset: baseOffset + at }),
  ]
}

/**
 * The batch without its first `skip` events, or null when none is left. (The first batch of a read may begin before the
 * position that was asked for.)
 * @throws FnapError BADEVENT, NOTSUPPORTED (codec)
 */
export function trimBatch(bytes: Uint8Array, skip: number, limit = DEFAULT_LIMIT): Buffer | null {
  if (skip <= 0) return asBuffer(bytes)
  const { count } = readBatchHeader(bytes)
  return skip >= count ? null : splitBatch(bytes, skip, limit)[1]
}

/**
 * The batch with every time stamp inside `oldest` to `newest` (milliseconds since 1970): the same bytes when all are, a
 * new encoding otherwise, with lz4 in place of gzip and zstd. Events of the year 3000 or of 1970 would defeat retention (hardening H32).
 * @throws FnapError BADEVENT, NOTSUPPORTED (codec)
 */
export function clampTimestamps(
  bytes: Uint8Array,
  range: { readonly oldest: number; readonly newest: number },
  limit = DEFAULT_LIMIT,
): Buffer {
  const { codec, baseOffset, maxTimestamp } = readBatchHeader(bytes)
  let changed = maxTimestamp > range.newest
  const events: FlowEvent[] = []
  for (const event of decodeBatch(bytes, limit)) {
    const timestamp = Math.min(range.newest, Math.max(range.oldest, event.timestamp))
    if (timestamp !== event.timestamp) changed = true
    events.push(timestamp === event.timestamp ? event : { ...event, timestamp })
  }
  return changed ? encodeBatch(events, { codec: quick(codec), baseOffset }) : asBuffer(bytes)
}

/** Who makes others' batches anew is not to be kept busy by them: gzip takes ten times as long as lz4, and what is crafted longer still. */
const quick = (codec: Codec): Codec => (codec === 'gzip' || codec === 'zstd' ? 'lz4' : codec)
