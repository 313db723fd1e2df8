import { type Batch, batchOf, encodeBatch, type FlowEvent, readBatchHeader } from '@fnaa/protocol'

const LIMIT = { bytes: 1 << 24 }

export const eventsOf = (b: Batch): FlowEvent[] => [...b.events(LIMIT)]

/** The batch with other events in it, under the same cursor. */
export function recode(b: Batch, edit: (events: FlowEvent[]) => readonly FlowEvent[], baseOffset?: number): Batch {
  const base = baseOffset ?? (b.raw ? readBatchHeader(b.raw.bytes).baseOffset : 0)
  const bytes = encodeBatch(edit(eventsOf(b)), { baseOffset: base })
  return batchOf({ shard: b.shard, last: b.last, bytes })
}
