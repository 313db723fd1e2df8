import type { Batch, From, Position } from '@fnaa/protocol'
import type { Credential, Endpoint } from './broker.js'
import type { Call, Json, Service } from './common.js'
import type { Kinds } from './kinds.js'

export interface Port {
  readonly name: string
  readonly endpoint: Endpoint
  /** Key into the secrets that travel beside the run. */
  readonly secret?: string
  /** Where a source begins. On a sink: its own place in the one source, which the run reports as it moves (1:N). */
  readonly from?: From
  /** Where a source stood when the run before last said so: holds where its broker has forgotten it. */
  readonly stood?: Position
  /** Where the driver is: a module specifier, or a file URL that the kernel resolved. */
  readonly driver: string
  readonly foreign: boolean
  /**
   * A source that is a copy holds the marker of this id, which is read and dropped. `awaited`: the run is `running` only once
   * something has come this way (federation rule 12).
   */
  readonly marker?: { readonly id: string; readonly awaited: boolean }
}

/** One run of a processor. A higher epoch replaces, a lower one is refused (federation rule 8). */
export interface Run {
  readonly id: string
  readonly epoch: number
  /** A module specifier (its default export is a {@link Program}), or `grpc://…` of a foreign processor. */
  readonly program: string
  readonly config: Json
  readonly sources: readonly Port[]
  readonly sinks: readonly Port[]
  readonly desired: 'run' | 'pause'
  readonly guarantee: 'at-least-once' | 'exactly-once'
  /** How the host resolves and what its address guard lets through: the agent's own rules. */
  readonly network: {
    readonly servers: readonly string[]
    readonly trustAd: boolean
    readonly allow: readonly string[]
  }
}

/** What a processor type adds to the one engine: to which sinks a batch goes. The engine does the rest. */
export interface Program {
  /** Indices of the sinks for a batch of source `source`; `all` is every sink. */
  route(config: Json): (batch: Batch, source: number) => readonly number[] | 'all'
}

export interface ProcessorSupports {
  readonly type: string
  readonly verbs: readonly string[]
  readonly sources: readonly [number, number]
  readonly sinks: readonly [number, number]
}
export interface ProcessorType extends Service {
  readonly type: string
  readonly verbs: readonly string[]
  readonly arity: { readonly sources: readonly [number, number]; readonly sinks: readonly [number, number] }
  /**
   * Pure. `cursors: 'sink'`: each sink has its own place in the one source, so that none waits for another.
   * `guarantee: 'exactly-once'` is kept where the one sink has transactions (`supports.transactions`), and is at least once elsewhere.
   */
  plan(spec: Kinds['Processor']['spec']): {
    readonly program: string
    readonly config: Json
    readonly cursors?: 'sink'
    readonly guarantee?: Run['guarantee']
  }
}

export interface SinkStatus {
  readonly phase: 'starting' | 'running' | 'failed'
  /** Why it has failed; of one that runs, why what is written to it is not durable yet. */
  readonly error?: string
  /** Events that it does not have yet, and milliseconds since the first of them was written; absent while nothing is read for it. */
  readonly behind?: number
  readonly behindMs?: number
  /** How often events have been passed over that the source did not have any more. */
  readonly gaps?: number
}
export interface RunStatus {
  readonly id: string
  readonly epoch: number
  readonly phase: 'starting' | 'running' | 'paused' | 'failed' | 'gone'
  /** Why it has failed; of a run that goes on, why nothing passes at this moment. */
  readonly error?: string
  /** By source; where each sink has a cursor of its own, by sink: the agent keeps those. */
  readonly positions?: Readonly<Record<string, Position>>
  /** Sinks with cursors of their own, by name. */
  readonly sinks?: Readonly<Record<string, SinkStatus>>
  /** Counters and lag: `events`, `bytes`, `behind`, `behindMs`, `gaps`; batches by tier: `raw`, `rebatched`, `decoded`. */
  readonly rates?: Readonly<Record<string, number>>
  /** Epoch of the source's queue. */
  readonly sourceEpoch?: string
}

export interface RuntimeSupports {
  readonly isolation: 'process' | 'pod'
}
export interface RuntimeService extends Service {
  /**
   * Idempotent. `paused` keeps the processor and its position. The same epoch again may have other sinks, where each has a
   * cursor of its own: those that stay go on undisturbed, by the credentials that they have.
   * @throws FNA_ERR_FENCED for a lower epoch
   */
  ensure(run: Run, secrets: Readonly<Record<string, Credential>>, c: Call): Promise<void>
  /** Resolves when it no longer reads or writes. */
  remove(id: string, epoch: number, c: Call): Promise<'removed' | 'absent'>
  /** All runs: first a full picture, then changes. A run whose host died is reported `gone`. */
  status(c: Call): AsyncIterable<RunStatus>
}
