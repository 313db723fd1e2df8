import { FnaError } from '@fnaa/core/plugin'
import type { From, Gap, Position } from '@fnaa/protocol'
import type { Queue } from './queue.js'
import type { ReaderRecord } from './readers.js'
import type { Shard } from './shard.js'

/** Where a source begins, and what it cannot see any more. */
export interface Start {
  /** The next offset of each shard, by its number. */
  readonly at: number[]
  readonly gaps: readonly Gap[]
  /** Where the reader was, as long as it has not been told of the gaps. */
  readonly before?: Position
}

/**
 * A position that the caller names goes before the stored one (it restored it from the sink), the stored one before the
 * other beginnings, which are for the first time only.
 * @throws FNA_ERR_INVALID for a cursor that is none of ours
 */
export function startAt(queue: Queue, stored: ReaderRecord | undefined, from: From): Start {
  const known = from.at === 'position' ? from.position : stored
  if (!known) return { at: queue.shards.map(s => first(s, from)), gaps: [] }
  if (known.epoch !== queue.record.epoch) return anew(queue, known)
  // A shard without a cursor came after the position was taken.
  return { at: queue.shards.map(s => parseCursor(known.shards[s.name] ?? String(s.start))), gaps: [] }
}

/** The beginning of a queue that took the place of another, of which the reader had come to `before`. */
export function anew(queue: Queue, before: Position): Start {
  const start = (shard: string) => queue.shards[Number(shard)]?.start ?? 0
  const gaps = Object.entries(before.shards).map(
    ([shard, from]): Gap => ({ shard, from, to: String(start(shard)), reason: 'epoch' }),
  )
  return { at: queue.shards.map(s => s.start), gaps, before: { epoch: before.epoch, shards: before.shards } }
}

function first(shard: Shard, from: From): number {
  if (from.at === 'latest') return shard.end
  return from.at === 'time' ? shard.find(from.time) : shard.start
}

/** @throws FNA_ERR_INVALID */
export function parseCursor(cursor: string): number {
  const offset = /^[0-9]{1,16}$/.test(cursor) ? Number(cursor) : Number.NaN
  if (!Number.isSafeInteger(offset)) throw new FnaError('FNA_ERR_INVALID', 'the cursor is not one of this broker')
  return offset
}
