import type { Batch } from '@fnaa/protocol'

/** How far behind: events, and milliseconds since the first of them was written. */
export interface Lag {
  readonly behind: number
  readonly behindMs: number
}

/**
 * Events that have left the source and are not safe yet: a reader lags by those too, as the source's owner and Kafka's own tools
 * count from what is committed.
 */
export class Held {
  readonly #batches = new Set<{ readonly events: number; readonly written: number }>()
  #events = 0

  /** @returns what ends it */
  add(b: Pick<Batch, 'count' | 'newest'>): () => void {
    const entry = { events: b.count, written: b.newest }
    this.#batches.add(entry)
    this.#events += entry.events
    return () => {
      if (this.#batches.delete(entry)) this.#events -= entry.events
    }
  }

  get lag(): Lag {
    let oldest = Number.POSITIVE_INFINITY
    for (const { written } of this.#batches) if (written >= 0 && written < oldest) oldest = written
    return { behind: this.#events, behindMs: Number.isFinite(oldest) ? Math.max(0, Date.now() - oldest) : 0 }
  }
}

/** What a source says of its shards, and what has left it. */
export function sumOf(shards: Readonly<Record<string, { behind: number; behindMs?: number }>>, held: Lag): Lag {
  const all = Object.values(shards)
  return {
    behind: all.reduce((n, s) => n + s.behind, held.behind),
    behindMs: Math.max(held.behindMs, ...all.map(s => s.behindMs ?? 0)),
  }
}
