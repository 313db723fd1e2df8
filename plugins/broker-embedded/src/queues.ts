import { FnaError, type QueueSpec } from '@fnaa/core/plugin'
import type { Disk, Put, Table } from '@fnaa/lib-lmdb'
import { queueRange, uid } from './layout.js'
import { checkQueue, Queue, type QueueRecord } from './queue.js'

const NEXT = Buffer.from('next')
/** Batches of a deleted queue that one step removes. */
const RECLAIM = 256

/** All queues. What a deleted one held is reclaimed later, in steps: deleting itself is one small write. */
export class Queues {
  private readonly byName = new Map<string, Queue>()
  private readonly table: Table
  private readonly meta: Table
  private readonly trash: Table

  constructor(
    private readonly disk: Disk,
    private readonly maxEventBytes: number,
    private readonly defaults: QueueSpec,
  ) {
    this.table = disk.table('queues')
    this.meta = disk.table('meta')
    this.trash = disk.table('trash')
    for (const { key, value } of this.table.getRange({})) {
      const name = key.toString()
      this.byName.set(name, new Queue(name, disk, JSON.parse(value.toString()) as QueueRecord))
    }
  }

  all(): Queue[] {
    return [...this.byName.values()]
  }

  find(name: string): Queue | undefined {
    return this.byName.get(name)
  }

  /** @throws FNA_ERR_NOTFOUND */
  get(name: string): Queue {
    const queue = this.byName.get(name)
    if (!queue) throw new FnaError('FNA_ERR_NOTFOUND', `there is no queue ${name}`)
    return queue
  }

  create(name: string, spec: QueueSpec, signal: AbortSignal): Promise<'created' | 'exists'> {
    checkQueue(name, spec, this.maxEventBytes)
    const work = (put: Put): QueueRecord | null => {
      if (this.table.get(Buffer.from(name))) return null
      const id = Number(this.meta.get(NEXT)?.toString() ?? 1)
      put(this.meta, NEXT, Buffer.from(String(id + 1)))
      return this.write(put, name, { id, epoch: uid(), spec: { shards: 1, ...this.defaults, ...defined(spec) } })
    }
    const done = (record: QueueRecord | null) => {
      if (record) this.byName.set(name, new Queue(name, this.disk, record))
    }
    return this.disk.commit(work, { grows: 4096, signal, done }).then(r => (r ? 'created' : 'exists'))
  }

  async update(name: string, spec: QueueSpec, signal: AbortSignal): Promise<void> {
    checkQueue(name, spec, this.maxEventBytes)
    const work = (put: Put): readonly [Queue, QueueRecord] => {
      const queue = this.get(name)
      const shards = queue.spec.shards ?? 1
      if ((spec.shards ?? shards) < shards)
        throw new FnaError('FNA_ERR_INVALID', `${name} has ${shards} shards, and a log cannot have fewer than before`)
      return [queue, this.write(put, name, { ...queue.record, spec: { ...queue.spec, ...defined(spec) } })]
    }
    const done = ([queue, record]: readonly [Queue, QueueRecord]) => {
      queue.record = record
      queue.grow()
      queue.wake()
    }
    await this.disk.commit(work, { grows: 0, signal, done })
  }

  delete(name: string, signal: AbortSignal): Promise<'deleted' | 'absent'> {
    const work = (put: Put): Queue | null => {
      const queue = this.byName.get(name)
      if (!queue) return null
      put(this.table, Buffer.from(name), null)
      put(this.trash, queueRange(queue.record.id).start, Buffer.from(name))
      return queue
    }
    const done = (queue: Queue | null) => {
      if (queue && this.byName.get(name) === queue) this.byName.delete(name)
      queue?.wake()
    }
    return this.disk.commit(work, { grows: 0, signal, done }).then(q => (q ? 'deleted' : 'absent'))
  }

  /** Removes a part of what deleted queues left behind. @returns true where there may be more */
  reclaim(): Promise<boolean> {
    const [next] = this.trash.getKeys({ limit: 1 })
    if (!next) return Promise.resolve(false)
    const key = Buffer.from(next)
    return this.disk.commit(
      put => {
        const range = queueRange(key.readUInt32BE())
        const full = ['log', 'times', 'shards'].some(name => remove(put, this.disk.table(name), range))
        if (!full) put(this.trash, key, null)
        return true
      },
      { grows: 0 },
    )
  }

  private write(put: Put, name: string, record: QueueRecord): QueueRecord {
    put(this.table, Buffer.from(name), Buffer.from(JSON.stringify(record)))
    return record
  }
}

/** @returns true where the step had to stop before the end */
function remove(put: Put, table: Table, range: { start: Buffer; end: Buffer }): boolean {
  let n = 0
  for (const key of table.getKeys({ ...range, limit: RECLAIM })) {
    put(table, Buffer.from(key), null)
    n++
  }
  return n === RECLAIM
}

const defined = (spec: QueueSpec): QueueSpec =>
  Object.fromEntries(Object.entries(spec).filter(([, v]) => v !== undefined)) as QueueSpec
