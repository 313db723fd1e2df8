import type { Call } from '@fnaa/core/plugin'
import type { From, Gap, Position } from '@fnaa/protocol'
import type { Committed } from './fence.js'
import { type Offsets, offsetsAt, offsetsFrom, parseCursor } from './places.js'
import type { Topic } from './topic.js'

/** Where a source begins, and what it cannot see any more. */
export interface Start {
  readonly at: Offsets
  readonly gaps: readonly Gap[]
}

interface Known {
  readonly topic: string
  readonly offsets: ReadonlyMap<number, number>
}

/** Where a reader could begin. */
interface Beginnings {
  readonly from: From
  readonly committed: Committed | null
  /** Where it was, as somebody remembers: the cluster drops a group's offsets with their topic, and with time. */
  readonly stood?: Position | undefined
}

/**
 * A position that the caller names goes before the committed one, that before the one that is remembered, all of them before the
 * other beginnings, which are for the first time only.
 * @param id the topic's
 * @throws FNA_ERR_INVALID for a cursor that is none of ours
 */
export async function startAt(at: Topic, id: string, b: Beginnings, c: Call): Promise<Start> {
  const { from } = b
  if (from.at === 'position') return goOn(at, id, fromPosition(from.position), c)
  const known =
    fromCommitted(b.committed, id) ?? (b.stood && Object.keys(b.stood.shards).length > 0 ? fromPosition(b.stood) : null)
  return known ? goOn(at, id, known, c) : { at: await offsetsFrom(at, from, c), gaps: [] }
}

const fromPosition = (p: Position): Known => ({
  topic: p.epoch,
  offsets: new Map(Object.entries(p.shards).map(([shard, cursor]) => [Number(shard), parseCursor(cursor)])),
})

const fromCommitted = (committed: Committed | null, id: string): Known | null =>
  committed === null || committed.offsets.size === 0
    ? null
    : { topic: committed.mark?.topic ?? id, offsets: committed.offsets }

async function goOn(at: Topic, id: string, known: Known, c: Call): Promise<Start> {
  const begin = await offsetsAt(at, 'earliest', c)
  if (known.topic !== id) return anew(known.offsets, begin)
  const end = await offsetsAt(at, 'latest', c)
  const gaps: Gap[] = []
  const next: Offsets = new Map()
  for (const [partition, first] of begin) {
    // A partition without an offset was added later: all that is in it is new.
    const wanted = known.offsets.get(partition) ?? first
    const [offset, gap] = inside(partition, wanted, first, end.get(partition) ?? first)
    next.set(partition, offset)
    if (gap) gaps.push(gap)
  }
  return { at: next, gaps }
}

/** The beginning of a topic that took the place of another, of which the reader had come to `before`. */
export function anew(before: ReadonlyMap<number, number>, begin: Offsets): Start {
  const gaps = [...before].map(
    ([partition, offset]): Gap => ({
      shard: String(partition),
      from: String(offset),
      to: String(begin.get(partition) ?? 0),
      reason: 'epoch',
    }),
  )
  return { at: begin, gaps }
}

/** What is left of a wanted offset between the first and the end of a partition. */
export function inside(partition: number, wanted: number, first: number, end: number): [number, Gap | null] {
  const shard = String(partition)
  if (wanted < first) return [first, { shard, from: String(wanted), to: String(first), reason: 'retention' }]
  if (wanted > end) return [end, { shard, from: String(wanted), to: String(end), reason: 'truncated' }]
  return [wanted, null]
}
