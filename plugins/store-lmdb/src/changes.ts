import type { Call, Change, Kinds, Resource } from '@fnaa/core/plugin'
import { FnaError } from '@fnaa/core/plugin'
import type { Disk, Put, Table } from '@fnaa/lib-lmdb'
import { seqKey } from './keys.js'

const PAGE = 256
/** Every so many changes the old end of the log is cut. */
const TRIM_EVERY = 16
const FLOOR = Buffer.from('floor')

interface Entry {
  readonly type: 'put' | 'gone'
  readonly resource: Resource
}

/**
 * The log of changes: numbered, written in the same transaction as what changed, bounded. A watch replays it from the
 * number where it stands; nothing is delivered from memory, so a slow watcher costs nothing.
 */
export class Changes {
  /** The newest change whose commit is done. Watchers see none beyond it. */
  private head: number
  private assigned: number
  private closed = false
  private readonly waiting = new Set<() => void>()
  private readonly log: Table
  private readonly meta: Table

  constructor(
    disk: Disk,
    private readonly id: string,
    private readonly bound: { readonly entries: number; readonly bytes: number },
  ) {
    this.log = disk.table('changes')
    this.meta = disk.table('meta')
    const [last] = this.log.getKeys({ reverse: true, limit: 1 })
    this.head = last ? Number(last.readBigUInt64BE()) : this.floor()
    this.assigned = this.head
  }

  /** A number for a change. Those of a failed commit are not used again. */
  next(): number {
    this.assigned++
    return this.assigned
  }

  /** Notes a change inside the job that makes it. */
  note(put: Put, seq: number, type: 'put' | 'gone', resource: Resource): void {
    put(this.log, seqKey(seq), Buffer.from(JSON.stringify({ type, resource } satisfies Entry)))
    if (seq % TRIM_EVERY === 0) this.trim(put, seq)
  }

  /** The commit with this change is on disk: watchers may see it. */
  publish(seq: number): void {
    this.head = seq
    for (const wake of [...this.waiting]) wake()
  }

  /** Where a watch begins that shall miss nothing after now. */
  at(): string {
    return this.name(this.head)
  }

  close(): void {
    this.closed = true
    for (const wake of [...this.waiting]) wake()
  }

  async *watch(kinds: readonly (keyof Kinds)[], after: string, c: Call): AsyncGenerator<Change> {
    let seq = this.parse(after)
    while (!c.signal.aborted) {
      if (this.closed) throw new FnaError('FNA_ERR_CLOSED', 'the store was closed')
      if (seq === undefined || seq < this.floor()) {
        seq = this.head
        yield { type: 'resync' }
        continue
      }
      const page = this.since(seq)
      for (const [n, bytes] of page) {
        seq = n
        const { type, resource } = JSON.parse(bytes.toString()) as Entry
        if (!kinds.includes(resource.kind)) continue
        yield { type, resource, at: this.name(n) }
        if (c.signal.aborted) return
      }
      if (page.length === 0) await this.changed(seq, c.signal)
    }
  }

  private since(seq: number): readonly (readonly [number, Buffer])[] {
    const range = this.log.getRange({ start: seqKey(seq + 1), end: seqKey(this.head + 1), limit: PAGE })
    return Array.from(range, e => [Number(e.key.readBigUInt64BE()), e.value] as const)
  }

  /** Resolves when there is something after `seq`, the log is closed or the signal aborts. */
  private changed(seq: number, signal: AbortSignal): Promise<void> {
    if (this.head > seq || this.closed || signal.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const wake = () => {
        this.waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.waiting.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  /** Everything up to this number has been cut from the log. */
  private floor(): number {
    return Number(this.meta.get(FLOOR)?.toString() ?? 0)
  }

  private trim(put: Put, seq: number): void {
    const { entryCount, treeLeafPageCount, overflowPages, pageSize } = this.log.getStats() as Stats
    const bytes = (treeLeafPageCount + overflowPages) * pageSize
    const byBytes = bytes > this.bound.bytes ? Math.ceil(entryCount * (1 - this.bound.bytes / bytes)) : 0
    const over = Math.min(Math.max(entryCount - this.bound.entries, byBytes), 2 * PAGE)
    if (over <= 0) return
    let floor = 0
    for (const key of this.log.getKeys({ limit: over })) {
      floor = Number(key.readBigUInt64BE())
      if (floor < seq) put(this.log, Buffer.from(key), null)
    }
    put(this.meta, FLOOR, Buffer.from(String(Math.min(floor, seq - 1))))
  }

  private name(seq: number): string {
    return `${this.id}.${seq}`
  }

  /** Undefined for a position of another store, or one that this store has not reached (it was restored). */
  private parse(at: string): number | undefined {
    const [id, n] = at.split('.')
    const seq = Number(n)
    return id === this.id && Number.isSafeInteger(seq) && seq >= 0 && seq <= this.head ? seq : undefined
  }
}

interface Stats {
  readonly entryCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
  readonly pageSize: number
}
