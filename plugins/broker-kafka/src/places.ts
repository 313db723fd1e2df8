import { type Call, FnaError } from '@fnaa/core/plugin'
import { EARLIEST, expectOk, LATEST, listOffsets } from '@fnaa/kafka-wire'
import type { From } from '@fnaa/protocol'
import type { Topic } from './topic.js'

/** A topic, as far as its offsets go. */
export type Place = Pick<Topic, 'cluster' | 'topic'>

/** An offset for each partition of the topic. */
export type Offsets = Map<number, number>

/**
 * The offset of a time in each partition: the first event of that time or later, or the end.
 * @param time milliseconds since 1970, `earliest` or `latest`
 */
export async function offsetsAt(at: Place, time: number | 'earliest' | 'latest', c: Call): Promise<Offsets> {
  const stamp = time === 'earliest' ? EARLIEST : time === 'latest' ? LATEST : BigInt(Math.max(0, Math.floor(time)))
  const found = await ask(at, stamp, c)
  const missing = [...found].filter(([, offset]) => offset < 0)
  if (missing.length === 0) return found
  const ends = await ask(at, LATEST, c)
  for (const [partition] of missing) found.set(partition, ends.get(partition) ?? 0)
  return found
}

export const offsetsFrom = (at: Place, from: Exclude<From, { at: 'position' }>, c: Call): Promise<Offsets> =>
  offsetsAt(at, from.at === 'time' ? from.time : from.at, c)

async function ask(at: Place, time: bigint, c: Call): Promise<Offsets> {
  const { cluster, topic } = at
  return cluster.retry(async () => {
    const { partitions } = await cluster.topic(topic, c)
    const out: Offsets = new Map()
    for (const leader of new Set(partitions.map(p => p.leader))) {
      const parts = partitions.filter(p => p.leader === leader).map(p => ({ topic, partition: p.partition, time }))
      const connection = await cluster.leader(topic, parts[0]!.partition, 'control', c)
      for (const p of await connection.request(listOffsets, { committed: true, parts })) {
        if (p.error !== 0) cluster.forget(topic)
        expectOk(p.error, `the offsets of topic ${topic}`)
        out.set(p.partition, p.offset)
      }
    }
    return out
  }, c)
}

/** @throws FNA_ERR_INVALID for what is no cursor of ours */
export function parseCursor(cursor: string): number {
  const offset = /^[0-9]{1,16}$/.test(cursor) ? Number(cursor) : Number.NaN
  if (!Number.isSafeInteger(offset)) throw new FnaError('FNA_ERR_INVALID', 'the cursor is not one of this broker')
  return offset
}
