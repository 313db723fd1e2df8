import { createHash } from 'node:crypto'
import { mintId, type Position } from '@fnaa/protocol'
import type { Call } from '../contract/common.js'
import type { Resource } from '../contract/store.js'
import type { Kernel } from '../kernel.js'
import { SUBSCRIBER } from './feeds.js'
import { CURSOR, type Proc } from './plan.js'

/** Where a processor stands in one of its sources. */
export const cursorOf = (p: Proc, f: Resource<'Flow'>): string => `processor/${p.uid}/${f.uid}/${CURSOR}`

/** Where one sink of a 1:N processor stands in the source. */
export function sinkCursor(k: Kernel, p: Proc, f: Resource<'Flow'>, sink: string): string {
  // A copy's place is the subscriber's own, whichever way it is served.
  const subscriber = sink.startsWith(SUBSCRIBER) && k.resources.get('Subscriber', sink.slice(SUBSCRIBER.length))
  if (subscriber) return subscriber.uid
  const label = mintId(createHash('sha256').update(sink).digest().subarray(0, 16))
  return `processor/${p.uid}/${f.uid}/${label}`
}

/** Where it begins becomes a position once, before its first run: `latest` then means when it was made. */
export async function begin(k: Kernel, p: Proc, f: Resource<'Flow'>, cursor: string, c: Call): Promise<Position> {
  const known = await k.positions.get(cursor, c)
  if (known) return known
  const wire = await k.brokers.open(f, c)
  try {
    const source = await wire.source({ reader: `begin-${p.uid}`, epoch: 0, from: p.spec.from }, c)
    const at = await source.position(c)
    await source.close()
    await k.positions.put(cursor, at, c)
    return at
  } finally {
    await wire.close()
  }
}

/** Keeps what a run has reported of its sinks' places. Behind by a moment, which after a crash repeats events and loses none. */
export function keepPlaces(k: Kernel, p: Proc, positions: Readonly<Record<string, Position>>): void {
  const f = k.resources.get('Flow', p.spec.sources[0] ?? '')
  if (!f) return
  for (const [sink, at] of Object.entries(positions)) {
    // A copy's place is the subscriber's, which stays where the feed does not.
    const stays = sink.startsWith(SUBSCRIBER)
      ? k.resources.get('Subscriber', sink.slice(SUBSCRIBER.length))?.status.mode === 'copy'
      : p.deleting === undefined && p.spec.sinks.includes(sink)
    if (!stays) continue
    const key = sinkCursor(k, p, f, sink)
    for (const [shard, cursor] of Object.entries(at.shards)) k.positions.move(key, at.epoch, shard, cursor)
  }
}

/** Forgets where sinks stand that are no more. */
export async function forgetPlaces(k: Kernel, p: Proc, sinks: readonly string[], c: Call): Promise<void> {
  for (const name of p.spec.sources) {
    const f = k.resources.get('Flow', name)
    if (!f) continue
    for (const sink of sinks) if (!sink.startsWith(SUBSCRIBER)) await k.positions.delete(sinkCursor(k, p, f, sink), c)
  }
}
