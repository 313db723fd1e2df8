import type { Clock, Logger } from '@fnaa/core/plugin'
import type { Disk, Put, Table } from '@fnaa/lib-lmdb'

/** How far a reader is: for each shard the offset of its next event, in the queue of that epoch. */
export interface ReaderRecord {
  readonly epoch: string
  readonly shards: Readonly<Record<string, string>>
  /** Milliseconds since 1970. */
  readonly at: number
}

const FLUSH_MS = 500
/** Positions in queues that are gone: kept so that a reader who comes back to a new queue of the name learns of it. */
const FORGET_MS = 30 * 86_400_000

/**
 * Read positions. They are written in the background, all of the last half second together: after a crash a reader sees
 * some events again, which at-least-once allows, and reading does not wait for the disk.
 */
export class Readers {
  private readonly dirty = new Map<string, ReaderRecord>()
  private readonly table: Table
  private pending: Promise<void> | undefined

  constructor(
    private readonly disk: Disk,
    private readonly clock: Clock,
    private readonly log: Logger,
    private readonly stop: AbortSignal,
  ) {
    this.table = disk.table('readers')
  }

  get(queue: string, reader: string): ReaderRecord | undefined {
    const key = nameOf(queue, reader)
    const fresh = this.dirty.get(key)
    if (fresh) return fresh
    const bytes = this.table.get(Buffer.from(key))
    return bytes && (JSON.parse(bytes.toString()) as ReaderRecord)
  }

  /** All readers of a queue, by name. */
  of(queue: string): Map<string, ReaderRecord> {
    const prefix = nameOf(queue, '')
    const found = new Map<string, ReaderRecord>()
    const range = { start: Buffer.from(prefix), end: Buffer.from(`${queue}\x01`) }
    for (const { key, value } of this.table.getRange(range))
      found.set(key.toString().slice(prefix.length), JSON.parse(value.toString()) as ReaderRecord)
    for (const [key, record] of this.dirty) if (key.startsWith(prefix)) found.set(key.slice(prefix.length), record)
    return found
  }

  set(queue: string, reader: string, epoch: string, shard: string, cursor: string): void {
    const before = this.get(queue, reader)
    const shards = before?.epoch === epoch ? before.shards : {}
    const record = { epoch, shards: { ...shards, [shard]: cursor }, at: this.clock.now() }
    this.dirty.set(nameOf(queue, reader), record)
    this.pending ??= this.clock
      .timer(FLUSH_MS, this.stop)
      .then(() => this.flush())
      .catch(err => this.log.warn({ err }, 'read positions were not written, it is tried again with the next one'))
  }

  /** Resolves when every position is on disk. A failure leaves them for the next time. */
  async flush(): Promise<void> {
    this.pending = undefined
    const records = [...this.dirty]
    if (records.length === 0) return
    await this.disk.commit(
      put => {
        for (const [key, record] of records) put(this.table, Buffer.from(key), Buffer.from(JSON.stringify(record)))
      },
      { grows: 0 },
    )
    for (const [key, record] of records) if (this.dirty.get(key) === record) this.dirty.delete(key)
  }

  /** Forgets old positions of queues that are gone. */
  async sweep(exists: (queue: string) => boolean): Promise<void> {
    const old: Buffer[] = []
    for (const { key, value } of this.table.getRange({})) {
      const { at } = JSON.parse(value.toString()) as ReaderRecord
      const [queue] = key.toString().split('\0')
      if (at < this.clock.now() - FORGET_MS && !exists(queue!)) old.push(Buffer.from(key))
    }
    if (old.length === 0) return
    const work = (put: Put) => {
      for (const key of old) put(this.table, key, null)
    }
    await this.disk.commit(work, { grows: 0 })
  }
}

const nameOf = (queue: string, reader: string): string => `${queue}\0${reader}`
