import { type BrokerSupports, FnaError, type QueueSpec } from '@fnaa/core/plugin'
import {
  type Batch,
  checkPassing,
  clampTimestamps,
  crc32c,
  decodeBatch,
  encodeBatch,
  encodeBatches,
  type FlowEvent,
  isFnapError,
  LIMITS,
  MOST_BATCH,
  readBatchHeader,
} from '@fnaa/protocol'

/** One batch for one shard; several of them may be for the same, in order. Its bytes may be the producer's own: they are borrowed until it is on disk. */
export interface Parcel {
  readonly shard: number
  readonly bytes: Uint8Array
  readonly count: number
  readonly newest: number
}

/** Bytes of one event, where the queue says nothing. */
export const MAX_EVENT: BrokerSupports['maxEventBytes'] = LIMITS.event
const DAY = 86_400_000
const EXPANDED = { bytes: LIMITS.expanded }

/**
 * Looks through a batch and makes of it what the shards store: the producer's bytes where they can stay as they are.
 * @param now milliseconds since 1970
 * @throws FNA_ERR_CORRUPT, FNA_ERR_TOO_LARGE, FNA_ERR_UNSUPPORTED (its codec is not here and it cannot stay as it is)
 */
export function incoming(b: Batch, spec: QueueSpec, shards: number, now: number): Parcel[] {
  try {
    const bytes = b.raw?.format === 'kafka-v2' ? b.raw.bytes : encodeBatch(b.events(EXPANDED))
    const kept = clamp(bytes, spec, now)
    const parts = shards === 1 ? [[0, kept] as const] : [...byShard(kept, b.shard, shards)]
    return parts.flatMap(([shard, part]) => fitting(part).map(bytes => parcel(shard, bytes)))
  } catch (e) {
    throw translated(e)
  }
}

/** Hardening H32: no time stamp more than a day ahead, none older than what the queue keeps. */
function clamp(bytes: Uint8Array, spec: QueueSpec, now: number): Uint8Array {
  const newest = now + DAY
  const oldest = spec.retentionMs === undefined ? -1 : Math.max(0, now - spec.retentionMs)
  const found = inspect(bytes, spec.maxEventBytes ?? MAX_EVENT)
  return found.oldest < oldest || found.newest > newest ? clampTimestamps(bytes, { oldest, newest }) : bytes
}

function inspect(bytes: Uint8Array, event: number): { oldest: number; newest: number } {
  const found = checkPassing(bytes, { bytes: LIMITS.expanded, event, events: Number.POSITIVE_INFINITY })
  // Of one whose codec is not here nobody has seen the events.
  if (bytes.length > event * found.count) throw new FnaError('FNA_ERR_TOO_LARGE', `an event passes ${event} bytes`)
  return found
}

/**
 * Same key, same shard, whoever writes. Events without a key go where the rest of their source's shard goes, which keeps
 * them in order.
 */
function byShard(bytes: Uint8Array, source: string, shards: number): Map<number, Uint8Array> {
  const keyless = crc32c(Buffer.from(source)) % shards
  const parts = new Map<number, FlowEvent[]>()
  for (const event of decodeBatch(bytes, EXPANDED)) {
    const shard = event.key ? crc32c(event.key) % shards : keyless
    const part = parts.get(shard)
    if (part) part.push(event)
    else parts.set(shard, [event])
  }
  if (parts.size === 1) return new Map([...parts.keys()].map(shard => [shard, bytes]))
  const { codec } = readBatchHeader(bytes)
  return new Map([...parts].map(([shard, events]) => [shard, encodeBatch(events, { codec })]))
}

/** What is stored must be what a frame may carry, or nobody could read it by frames: a longer batch becomes several. */
function fitting(bytes: Uint8Array): readonly Uint8Array[] {
  const { count } = readBatchHeader(bytes)
  if (bytes.length <= MOST_BATCH && count <= LIMITS.batchEvents) return [bytes]
  return [...encodeBatches(decodeBatch(bytes, EXPANDED))]
}

function parcel(shard: number, bytes: Uint8Array): Parcel {
  const { count, maxTimestamp } = readBatchHeader(bytes)
  return { shard, bytes, count, newest: maxTimestamp }
}

function translated(e: unknown): unknown {
  if (e instanceof RangeError) return new FnaError('FNA_ERR_INVALID', e.message, { cause: e })
  if (!isFnapError(e)) return e
  if (e.symbol === 'TOOLONG') return new FnaError('FNA_ERR_TOO_LARGE', e.sentence, { cause: e })
  if (e.symbol === 'NOTSUPPORTED') return new FnaError('FNA_ERR_UNSUPPORTED', e.sentence, { cause: e })
  return new FnaError('FNA_ERR_CORRUPT', e.sentence, { cause: e })
}
