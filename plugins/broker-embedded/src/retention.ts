import { setImmediate as breath } from 'node:timers/promises'
import type { Clock, Logger } from '@fnaa/core/plugin'
import type { Disk, Put } from '@fnaa/lib-lmdb'
import type { Queue } from './queue.js'
import type { Queues } from './queues.js'
import type { Shard } from './shard.js'

const EVERY_MS = 60_000

/**
 * Removes what is older than a queue keeps and what it has no room for. Age counts from the append, not from the
 * event's own time stamp: a stranger's wrong clock can neither pin events here nor make them vanish on arrival.
 */
export class Retention {
  private readonly over = new Set<Queue>()
  private running: Promise<void> = Promise.resolve()

  constructor(
    private readonly disk: Disk,
    private readonly queues: Queues,
    private readonly clock: Clock,
    private readonly log: Logger,
    private readonly stop: AbortSignal,
  ) {}

  /** Runs until the signal aborts: every minute of the clock. */
  async run(): Promise<void> {
    while (!this.stop.aborted) {
      await this.sweep()
      await this.clock.timer(EVERY_MS, this.stop)
    }
    await this.running
  }

  /** After an append: has the queue outgrown its bytes by a tenth? Then without waiting for the minute. */
  grown(queue: Queue, shard: Shard): void {
    const most = share(queue)
    if (most === undefined || shard.bytes <= most * 1.1 || this.over.has(queue)) return
    this.over.add(queue)
    this.running = this.attempt(async () => {
      this.over.delete(queue)
      await this.trim(queue)
    })
  }

  /** One pass over all queues, and over what deleted ones left. */
  async sweep(): Promise<void> {
    await this.attempt(async () => {
      for (const queue of this.queues.all()) await this.trim(queue)
      // Others have the event loop and the disk between two steps.
      while (!this.stop.aborted && (await this.queues.reclaim())) await breath()
    })
  }

  private async trim(queue: Queue): Promise<void> {
    const { retentionMs } = queue.spec
    const most = share(queue)
    if (retentionMs === undefined && most === undefined) return
    const old = (appended: number, bytes: number) =>
      (retentionMs !== undefined && appended < this.clock.now() - retentionMs) || (most !== undefined && bytes > most)
    for (const shard of queue.shards) while (!this.stop.aborted && (await this.step(queue, shard, old))) await breath()
  }

  /** @returns whether something was removed */
  private async step(queue: Queue, shard: Shard, old: (appended: number, bytes: number) => boolean): Promise<boolean> {
    const work = (put: Put, group: number) =>
      this.queues.find(queue.name) === queue ? shard.trim(put, group, old) : undefined
    const done = (s: ReturnType<Shard['trim']>) => s && shard.publish(s)
    return (await this.disk.commit(work, { grows: 0, done })) !== undefined
  }

  private async attempt(pass: () => Promise<void>): Promise<void> {
    try {
      await pass()
    } catch (err) {
      if (!this.stop.aborted) this.log.warn({ err }, 'retention failed, it is tried again')
    }
  }
}

/** Bytes that each shard may hold. */
function share(queue: Queue): number | undefined {
  const { retentionBytes } = queue.spec
  return retentionBytes === undefined ? undefined : retentionBytes / queue.shards.length
}
