import { FnaError, type QueueSpec } from '@fnaa/core/plugin'
import type { Disk } from '@fnaa/lib-lmdb'
import { Shard } from './shard.js'

/** What is stored of a queue. `id` begins the keys of its logs and is never used again. */
export interface QueueRecord {
  readonly id: number
  readonly epoch: string
  readonly spec: QueueSpec
}

/** A queue and who waits for it. It is replaced by another object when it is made anew. */
export class Queue {
  readonly shards: Shard[] = []
  private readonly waiting = new Set<() => void>()

  constructor(
    readonly name: string,
    private readonly disk: Disk,
    public record: QueueRecord,
  ) {
    this.grow()
  }

  get spec(): QueueSpec {
    return this.record.spec
  }

  /** Opens the shards that the spec has and this object not yet. */
  grow(): void {
    for (let n = this.shards.length; n < (this.spec.shards ?? 1); n++)
      this.shards.push(new Shard(this.disk, this.record.id, n))
  }

  /** Something was appended, or the queue is no longer what it was. */
  wake(): void {
    if (this.waiting.size > 0) for (const go of [...this.waiting]) go()
  }

  /** Resolves at the next `wake`, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const go = () => {
        this.waiting.delete(go)
        signal.removeEventListener('abort', go)
        resolve()
      }
      this.waiting.add(go)
      signal.addEventListener('abort', go)
    })
  }
}

const MAX_SHARDS = 1024
const MAX_NAME = 512

/** The name of a queue, a reader or a writer. @throws FNA_ERR_INVALID, naming the rule */
export function checkName(what: string, name: string): void {
  const bytes = typeof name === 'string' ? Buffer.byteLength(name) : 0
  if (bytes < 1 || bytes > MAX_NAME || name.includes('\0'))
    throw invalid(`a ${what}'s name has 1 to ${MAX_NAME} bytes, none of them NUL`)
}

/** @throws FNA_ERR_INVALID, naming the rule */
export function checkQueue(name: string, spec: QueueSpec, maxEventBytes: number): void {
  checkName('queue', name)
  whole('shards', spec.shards, MAX_SHARDS)
  whole('retentionMs', spec.retentionMs, Number.MAX_SAFE_INTEGER)
  whole('retentionBytes', spec.retentionBytes, Number.MAX_SAFE_INTEGER)
  whole('maxEventBytes', spec.maxEventBytes, maxEventBytes)
}

function whole(what: string, n: number | undefined, most: number): void {
  if (n !== undefined && !(Number.isSafeInteger(n) && n >= 1 && n <= most))
    throw invalid(`${what} must be a whole number from 1 to ${most}`)
}

const invalid = (message: string) => new FnaError('FNA_ERR_INVALID', message)
