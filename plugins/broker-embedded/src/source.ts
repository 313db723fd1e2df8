import { setImmediate as breath } from 'node:timers/promises'
import { type Call, FnaError, type Source } from '@fnaa/core/plugin'
import { aborted } from '@fnaa/lib-lmdb'
import { type Batch, batchOf, type Gap, isCodecUnavailable, type Position, trimBatch } from '@fnaa/protocol'
import type { EmbeddedBroker } from './broker.js'
import { fenceOf } from './fences.js'
import type { Queue } from './queue.js'
import type { Shard, Stored } from './shard.js'
import { anew, parseCursor, type Start } from './start.js'

/** Bytes that are read ahead of the consumer at most, but for the last batch, which may pass it. */
const PAGE = 1 << 20

/**
 * Follows all shards of a queue. A cursor is the offset of the next event, so it may point inside a batch.
 * Nothing is held open between two pages: a reader that stands still keeps no old page of the file alive.
 */
export class EmbeddedSource implements Source {
  private closed = false
  /** What has been handed out: the next offset of each shard. */
  private at: number[]
  private gaps: readonly Gap[]
  private before: Position | undefined

  constructor(
    private readonly broker: EmbeddedBroker,
    private queue: Queue,
    private readonly who: { readonly reader: string; readonly epoch: number },
    start: Start,
  ) {
    this.at = start.at
    this.gaps = start.gaps
    this.before = start.before
  }

  async *read(c: Call): AsyncGenerator<Batch | Gap> {
    while (this.follow(c.signal)) {
      // Before looking: what is appended while this side looks wakes it too.
      const stop = new AbortController()
      const appended = this.queue.changed(stop.signal)
      let found = false
      try {
        for (const item of this.round()) {
          found = true
          yield item
          if (!this.follow(c.signal)) return
        }
        // A reader that never waits would keep the event loop to itself.
        if (found) await breath()
        else await this.until(appended, c.signal)
      } finally {
        stop.abort()
      }
    }
  }

  async commit(shard: string, last: string, c: Call): Promise<void> {
    this.check()
    if (c.signal.aborted) throw aborted(c.signal)
    if (!this.queue.shards[Number(shard)])
      throw new FnaError('FNA_ERR_INVALID', `${this.queue.name} has no shard ${shard}`)
    const { name, record } = this.queue
    this.broker.readers.set(name, this.who.reader, record.epoch, shard, String(parseCursor(last)))
  }

  async lag(_c: Call): ReturnType<Source['lag']> {
    this.check()
    this.renew()
    const shards = Object.fromEntries(
      this.queue.shards.map(s => [s.name, lagOf(s, this.at[s.number] ?? s.start, this.broker)]),
    )
    return { epoch: this.queue.record.epoch, shards }
  }

  async position(_c: Call): Promise<Position> {
    this.check()
    // Not renewed, and not beyond a gap that nobody has been told of: what is stored now must still show it later.
    return this.before ?? this.here()
  }

  async close(): Promise<void> {
    this.closed = true
    this.queue.wake()
  }

  /** What there is now: gaps first, then a page of each shard. */
  private *round(): Generator<Batch | Gap> {
    this.renew()
    const { gaps } = this
    this.gaps = []
    this.before = undefined
    yield* gaps
    const { queue } = this
    for (const shard of queue.shards) {
      this.at[shard.number] ??= shard.start
      const gap = this.lost(shard)
      if (gap) yield gap
      for (const stored of shard.page(this.at[shard.number]!, PAGE)) {
        if (this.queue !== queue) return
        yield this.batch(shard, stored)
      }
    }
  }

  private batch(shard: Shard, { base, count, bytes }: Stored): Batch {
    const at = this.at[shard.number]!
    const next = base + count
    const rest = at > base ? trimmed(bytes, at - base) : bytes
    this.at[shard.number] = next
    return batchOf({ shard: shard.name, last: String(next), bytes: rest })
  }

  /** The cursor fell off one end of the log: goes on at that end. */
  private lost(shard: Shard): Gap | undefined {
    const at = this.at[shard.number]!
    const to = Math.max(shard.start, Math.min(at, shard.end))
    if (to === at) return undefined
    this.at[shard.number] = to
    return { shard: shard.name, from: String(at), to: String(to), reason: to > at ? 'retention' : 'truncated' }
  }

  /** The queue was deleted and made again: its beginning, behind a gap. @throws FNA_ERR_NOTFOUND where it is gone */
  private renew(): void {
    const queue = this.broker.queues.get(this.queue.name)
    if (queue === this.queue) return
    const start = anew(queue, this.before ?? this.here())
    this.queue = queue
    this.at = start.at
    this.gaps = start.gaps
    this.before = start.before
  }

  private here(): Position {
    const shards = Object.fromEntries(this.queue.shards.map(s => [s.name, String(this.at[s.number] ?? s.start)]))
    return { epoch: this.queue.record.epoch, shards }
  }

  private follow(signal: AbortSignal): boolean {
    if (signal.aborted || this.closed) return false
    this.check()
    return true
  }

  /** @throws FNA_ERR_CLOSED, FNA_ERR_FENCED */
  private check(): void {
    this.broker.open()
    if (this.closed) throw new FnaError('FNA_ERR_CLOSED', 'the source is closed')
    this.broker.fences.check(fenceOf('read', this.queue.name, this.who.reader), this.who.epoch)
  }

  private until(appended: Promise<void>, signal: AbortSignal): Promise<void> {
    if (this.closed || signal.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const go = () => {
        signal.removeEventListener('abort', go)
        resolve()
      }
      signal.addEventListener('abort', go)
      void appended.then(go)
    })
  }
}

function lagOf(shard: Shard, at: number, { clock }: EmbeddedBroker): { behind: number; behindMs: number } {
  const behind = Math.max(0, shard.end - Math.max(at, shard.start))
  const since = behind > 0 ? shard.appendedAt(at) : undefined
  return { behind, behindMs: since === undefined ? 0 : Math.max(0, clock.now() - since) }
}

/** Without the events before the cursor. In a codec that is not here, with them: seen twice is better than not at all. */
function trimmed(bytes: Buffer, skip: number): Buffer {
  try {
    return trimBatch(bytes, skip) ?? bytes
  } catch (e) {
    if (isCodecUnavailable(e)) return bytes
    throw e
  }
}
