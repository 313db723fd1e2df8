import type { Batch, From, Gap, Position, Tier } from '@fnaa/protocol'
import type { Call, Dial, Json, Logger, Service } from './common.js'

export interface BrokerSupports {
  /** `kafka`, `sqs` …: the TXT word broker-type, DESCRIBE's type, the driver's key. */
  readonly type: string
  /** log: a cursor can be stored and replayed. queue: acknowledgement only. */
  readonly model: 'log' | 'queue'
  readonly readers: 'independent' | 'competing'
  readonly order: 'none' | 'key' | 'total'
  /** How strangers get in at the broker itself; empty: through fnap only. An instance may give less: `BrokerService.access`. */
  readonly access: readonly ('issued' | 'principal')[]
  readonly cut: 'open-connections' | 'next-request' | 'none'
  readonly batch: 'kafka-v2' | null
  readonly transactions: boolean
  readonly maxEventBytes: number
  /** process: only the agent's own process can open an endpoint, others come through fnap. network: any process can. */
  readonly reach: 'process' | 'network'
}

/** Where a queue is. There is no secret in it. */
export interface Endpoint {
  readonly type: string
  /** `host:port`. */
  readonly servers: readonly string[]
  readonly queue: string
  readonly reader?: string
  readonly tls?: { readonly servername?: string; readonly ca?: string }
  readonly options?: Json
}
export interface Credential {
  readonly mechanism: string
  readonly values: Readonly<Record<string, string>>
  /** Seconds. */
  readonly expiresIn?: number
}
export interface QueueSpec {
  readonly shards?: number
  readonly retentionMs?: number
  readonly retentionBytes?: number
  readonly maxEventBytes?: number
  readonly ordered?: boolean
}
export interface AccessRequest {
  /** Made by the kernel from a uid; never a stranger's ID (hardening H1). */
  readonly id: string
  readonly queue: string
  readonly rights: readonly ('read' | 'write')[]
  readonly principal?: string
  readonly limits?: { readonly bytesPerSecond?: number }
}

/** The control face: a broker that this participant operates. Runs in the kernel. */
export interface BrokerService extends Service {
  /** Pure and injective: two flows never share a queue. */
  queueFor(flow: string): string
  /** `epoch` is another one whenever the queue was made anew. */
  describeQueue(queue: string, c: Call): Promise<(QueueSpec & { readonly epoch: string }) | null>
  createQueue(queue: string, spec: QueueSpec, c: Call): Promise<'created' | 'exists'>
  /** @throws FNA_ERR_NOTFOUND; FNA_ERR_INVALID for fewer shards */
  updateQueue(queue: string, spec: QueueSpec, c: Call): Promise<void>
  deleteQueue(queue: string, c: Call): Promise<'deleted' | 'absent'>
  /** @throws FNA_ERR_NOTFOUND */
  listConsumers(
    queue: string,
    c: Call,
  ): Promise<readonly { readonly name: string; readonly lag?: number; readonly behindMs?: number }[]>
  /** For our own processors and the kernel's READ and WRITE: data rights only, never the administrator's. */
  internal(queue: string): { readonly endpoint: Endpoint; readonly credential: Credential | null }
  /** Idempotent on `a.id`. @throws FNA_ERR_UNSUPPORTED where `access` is empty */
  grant(a: AccessRequest, c: Call): Promise<{ readonly endpoint: Endpoint; readonly credential: Credential | null }>
  revoke(id: string, c: Call): Promise<'revoked' | 'absent'>
  /**
   * What this instance gives now of its manifest's `supports.access`: a cluster may deny what its type can do, and that is known
   * only once it has been asked. Absent: all of it. Undefined: it has not said yet.
   */
  access?(): BrokerSupports['access'] | undefined
  /** Which limits of an AccessRequest this instance keeps now. Absent: none, and who is limited comes in through the agent. */
  limits?(): readonly (keyof NonNullable<AccessRequest['limits']>)[]
}

/** The data face: default export of the module that the manifest names. Opens any endpoint of its type, in any process. */
export interface Driver {
  open(e: Endpoint, cred: Credential | null, host: DriverHost, c: Call): Promise<Wire>
}
export interface DriverHost {
  readonly log: Logger
  readonly dial: Dial
  /** The endpoint came from a stranger. */
  readonly foreign: boolean
}
export interface Wire {
  /**
   * `reader` names the position that `commit` stores: where there is one, reading goes on there, unless `from` is a
   * position itself, which always holds. `epoch` fences: a lower one than seen before is FNA_ERR_FENCED. `stood` is where the
   * reader was when somebody last asked: it holds where the broker has forgotten the position, so that what has gone is a gap.
   */
  source(opt: { reader: string; epoch: number; from: From; stood?: Position }, c: Call): Promise<Source>
  sink(opt: { writer: string; epoch: number }, c: Call): Promise<Sink>
  close(): Promise<void>
}
export interface Source {
  /** Pull: nothing is fetched that was not asked for, but for a bounded prefetch. Follows until the signal aborts. */
  read(c: Call): AsyncIterable<Batch | Gap>
  /** Stores that everything of `shard` up to `last` is safe at the sink. */
  commit(shard: string, last: string, c: Call): Promise<void>
  /**
   * The reader has no more use for this batch, and every sink that it was written to has it durably: what its bytes lie in
   * may be written over. Each batch at most once; not called for one whose fate is open.
   */
  release?(b: Batch): void
  lag(c: Call): Promise<{
    readonly epoch: string
    readonly shards: Readonly<Record<string, { readonly behind: number; readonly behindMs?: number }>>
  }>
  /** Why nothing comes at this moment, while it is tried again; undefined where nothing is wrong. */
  waiting?(): unknown
  /** Where this reader stands now: `latest` and a time made definite, so that it can be stored and come back to. */
  position(c: Call): Promise<Position>
  close(): Promise<void>
}
/** Whose position is kept beside the data and moves with it (`supports.transactions`). */
export interface Exactly {
  readonly reader: string
  /** The source's epoch, of which the batch's cursor is. */
  readonly epoch: string
}
export interface Sink {
  /**
   * Resolves when durable; the batch's bytes are looked at no more then, for their memory may be used again. Calls are taken in the
   * order in which they are made; several may be under way. What is refused takes along whatever of the same shard stands behind
   * it: nothing passes it.
   * A batch that is spread over shards, or is too long to be kept as one, answers with the cursor of the last part; all
   * parts become durable together, or none. `tier` is what it took the sink; absent: raw.
   */
  write(b: Batch, opt: { exactly?: Exactly }, c: Call): Promise<{ readonly cursor: string; readonly tier?: Tier }>
  /** Why what was written is not durable yet, while it is tried again; undefined where nothing is wrong. */
  waiting?(): unknown
  /** Positions kept beside the data, null where there are none. */
  restore(reader: string, c: Call): Promise<Position | null>
  close(): Promise<void>
}
