import { chmodSync, existsSync, statfsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { FnaError } from '@fnaa/core/plugin'
import { type Database, open, type RootDatabase } from 'lmdb'
import { claim } from './file.js'

/** One table of the environment: bytes to bytes, sorted by the key's bytes. */
export type Table = Database<Buffer, Buffer>

/** Notes a write of the running job; null removes. It is applied once the whole job has run without throwing. */
export type Put = (table: Table, key: Buffer, value: Uint8Array | null) => void

interface Job {
  readonly work: (put: Put, group: number) => unknown
  readonly done: (result: unknown) => void
  readonly grows: number
  readonly signal: AbortSignal | undefined
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
  outcome?: { readonly result: unknown } | { readonly error: unknown }
}

const GROUP_JOBS = 4096
/** Bytes; the engine's, with its pages of 4 KiB. */
const MOST_KEY = 1978
const GROUP_BYTES = 16 << 20
/** Room above the limit: pages that copy-on-write needs, and jobs that must always be possible. */
const HEADROOM = 1.25
/** Left free on the disk, for LMDB writes new pages even to delete. */
const RESERVE = 1 << 20
const RECOUNT = 8 << 20
const EIO = 5
const ENOSPC = 28
const MDB_MAP_FULL = -30792

/**
 * An LMDB environment with one queue of writes. What waits while a commit is on its way to the disk goes into the next
 * one together, so that many writers share one flush.
 *
 * The engine's own queue is not used for this: with its batching by event turn a failed commit ends as an unhandled
 * rejection that nobody can catch, and only without overlapping flushes does "committed" mean "on disk".
 */
export class Disk {
  /** Bytes that the tables may take. */
  readonly limit: number
  readonly path: string
  private readonly release: () => void
  private readonly root: RootDatabase<Buffer, Buffer>
  private readonly tables = new Map<string, Table>()
  private queue: Job[] = []
  private running: Promise<void> | undefined
  private closed = false
  private failure: FnaError | undefined
  private groups = 0
  /** Bytes used as they were last counted, and what was written since: counting costs more than a small commit. */
  private counted = 0
  private since = 0
  /** What may be used: less than `limit` where the disk has less. */
  private ceiling = -1

  /** @throws FNA_ERR_CORRUPT where the file is not an LMDB environment, FNA_ERR_LOCKED where this process has it open */
  constructor(path: string, limit: number) {
    this.path = path
    this.limit = limit
    this.release = claim(path)
    try {
      this.root = open({
        path,
        encoding: 'binary',
        keyEncoding: 'binary',
        mapSize: Math.max(64 << 20, Math.ceil((limit * HEADROOM) / 4096) * 4096),
        eventTurnBatching: false,
        overlappingSync: false,
      } as Parameters<typeof open>[0])
      // The engine makes them readable for all (but for the umask); whoever the folder is opened to later must not read them.
      for (const file of [path, `${path}-lock`]) if (existsSync(file)) chmodSync(file, 0o600)
    } catch (cause) {
      this.release()
      throw new FnaError('FNA_ERR_CORRUPT', `${path} cannot be opened: ${(cause as Error).message}`, { cause })
    }
  }

  table(name: string): Table {
    let table = this.tables.get(name)
    if (!table) {
      table = this.root.openDB<Buffer, Buffer>(name, { encoding: 'binary', keyEncoding: 'binary' })
      this.tables.set(name, table)
    }
    return table
  }

  /** Runs `work` alone and at once, for the few writes at boot. */
  now<T>(work: () => T): T {
    return this.root.transactionSync(work)
  }

  /**
   * Runs `work` inside the next write transaction, where it sees all writes before it, and resolves when its writes are
   * on disk. `work` throws to refuse: then it has written nothing. `group` numbers the transaction: what one job leaves
   * in memory for the next holds within the group only, for the commit may fail. `done` runs before the promise
   * resolves, in the order of the jobs.
   * @param opt.grows bytes that it adds at most; 0 for what must always be possible, as deleting
   * @throws FNA_ERR_FULL with nothing written, FNA_ERR_INVALID for a key that cannot be kept, FNA_ERR_CLOSED,
   * FNA_ERR_UNAVAILABLE where the disk fails
   */
  commit<T>(
    work: (put: Put, group: number) => T,
    opt: { grows: number; signal?: AbortSignal; done?: (result: T) => void },
  ): Promise<T> {
    if (this.closed) return Promise.reject(new FnaError('FNA_ERR_CLOSED', `${this.path} is closed`))
    return new Promise<T>((resolve, reject) => {
      this.queue.push({
        work,
        done: (opt.done ?? (() => {})) as (r: unknown) => void,
        grows: opt.grows,
        signal: opt.signal,
        resolve: resolve as (r: unknown) => void,
        reject,
      })
      this.running ??= this.drain()
    })
  }

  /** Bytes of the pages in use, and of the free ones inside the file. */
  private pages(): { used: number; free: number } {
    const { root, free, pageSize, lastPageNumber } = this.root.getStats() as Stats
    let n = 2 + pages(root) + pages(free)
    for (const t of this.tables.values()) n += pages(t.getStats() as PageCounts)
    return { used: n * pageSize, free: Math.max(0, lastPageNumber + 1 - n) * pageSize }
  }

  /** `limit` is less than the configured one where the disk has less room left. */
  async usage(): Promise<{ used: number; limit: number }> {
    const { used, free } = this.pages()
    const { bavail, bsize } = await statfs(dirname(this.path))
    return { used, limit: Math.min(this.limit, used + free + bavail * bsize) }
  }

  /** The last commit's failure; undefined once one has succeeded. */
  get failed(): FnaError | undefined {
    return this.failure
  }

  /** Waits for what was accepted, runs `last` while the tables are still open, then closes. */
  async close(last?: () => Promise<void>): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.running
    try {
      await last?.()
    } finally {
      await this.root.close()
      this.release()
    }
  }

  private async drain(): Promise<void> {
    // A turn of the event loop before each: whoever was waiting for the last commit may have more for the next.
    for (await turn(); this.queue.length > 0; await turn()) await this.group(this.take())
    this.running = undefined
  }

  private take(): Job[] {
    let bytes = 0
    let n = 0
    while (n < this.queue.length && n < GROUP_JOBS && (n === 0 || bytes < GROUP_BYTES)) bytes += this.queue[n++]!.grows
    const group = this.queue.slice(0, n)
    this.queue = this.queue.slice(n)
    return this.admit(group, bytes)
  }

  /** Refuses what was given up meanwhile and what does not fit. */
  private admit(group: Job[], bytes: number): Job[] {
    // Small values take up to twice their size; near the ceiling every group is counted.
    if (this.since > RECOUNT || this.counted + 2 * (this.since + bytes) > this.ceiling) this.count()
    let sum = this.counted + this.since
    const admitted = group.filter(job => {
      if (job.signal?.aborted) job.reject(aborted(job.signal))
      else if (job.grows > 0 && sum + job.grows > this.ceiling) job.reject(this.full())
      else {
        sum += job.grows
        return true
      }
      return false
    })
    this.since += bytes
    return admitted
  }

  private count(): void {
    const { used, free } = this.pages()
    const { bavail, bsize } = statfsSync(dirname(this.path))
    this.counted = used
    this.since = 0
    this.ceiling = Math.min(this.limit, used + Math.max(0, free + bavail * bsize - RESERVE))
  }

  private async group(jobs: Job[]): Promise<void> {
    if (jobs.length === 0) return
    try {
      // Not a child transaction, which could be undone but takes a sixth longer: nothing that is written here is refused.
      await this.root.transaction(() => execute(jobs, ++this.groups))
      this.failure = undefined
    } catch (e) {
      this.failure = await this.explain(e)
      for (const job of jobs) job.reject(job.outcome && 'error' in job.outcome ? job.outcome.error : this.failure)
      return
    }
    for (const job of jobs) settle(job)
  }

  private async explain(e: unknown): Promise<FnaError> {
    // The engine puts the reason of a failed commit into a promise beside the error.
    const cause = await Promise.resolve((e as { commitError?: unknown }).commitError).then(
      v => v ?? e,
      reason => reason,
    )
    const code = (cause as { code?: unknown }).code
    if (code === ENOSPC || code === MDB_MAP_FULL) return this.full(cause)
    // A short write is reported as EIO: look whether the disk is what ran out.
    if (code === EIO && (await this.diskIsFull())) return this.full(cause)
    return new FnaError('FNA_ERR_UNAVAILABLE', `${this.path}: ${(cause as Error).message}`, { cause })
  }

  private async diskIsFull(): Promise<boolean> {
    const { bavail, bsize } = await statfs(dirname(this.path))
    return bavail * bsize < GROUP_BYTES
  }

  private full(cause?: unknown): FnaError {
    return new FnaError('FNA_ERR_FULL', `no room left for ${this.path} (limit ${this.limit} bytes)`, { cause })
  }
}

const turn = () => new Promise<void>(resolve => setImmediate(resolve))

interface PageCounts {
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}
interface Stats {
  readonly root: PageCounts
  readonly free: PageCounts
  readonly pageSize: number
  readonly lastPageNumber: number
}
const pages = (s: PageCounts): number => s.treeBranchPageCount + s.treeLeafPageCount + s.overflowPages

function execute(jobs: readonly Job[], group: number): void {
  for (const job of jobs) {
    const writes: Write[] = []
    try {
      job.outcome = { result: job.work((...write) => writes.push(writable(write)), group) }
    } catch (error) {
      job.outcome = { error }
      continue
    }
    for (const [table, key, value] of writes) {
      if (value === null) table.remove(key)
      else table.put(key, value as Buffer)
    }
  }
}

type Write = readonly [table: Table, key: Buffer, value: Uint8Array | null]

/** @throws FNA_ERR_INVALID for what the engine would refuse when half a job is written */
function writable(write: Write): Write {
  const [, key, value] = write
  if (key.length < 1 || key.length > MOST_KEY)
    throw new FnaError('FNA_ERR_INVALID', `a key of ${key.length} bytes: 1 to ${MOST_KEY} can be kept`)
  if (value !== null && !(value instanceof Uint8Array))
    throw new FnaError('FNA_ERR_INVALID', 'a value that is no bytes')
  return write
}

function settle(job: Job): void {
  const outcome = job.outcome!
  try {
    if ('error' in outcome) throw outcome.error
    job.done(outcome.result)
    job.resolve(outcome.result)
  } catch (error) {
    job.reject(error)
  }
}

/** What a call that was given up throws. */
export function aborted(signal: AbortSignal): unknown {
  const reason = signal.reason
  if (typeof reason === 'object' && reason !== null && 'code' in reason && String(reason.code).startsWith('FNA_'))
    return reason
  return new FnaError('FNA_ERR_TIMEOUT', 'the call was given up', { cause: reason })
}
