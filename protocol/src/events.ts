/** How the records of a batch are compressed. */
export type Codec = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** One event as a broker holds it. `timestamp` is in milliseconds since 1970. */
export interface FlowEvent {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly (readonly [string, Uint8Array])[]
  readonly timestamp: number
}

/**
 * What it took to pass a batch on: `raw`, its records as they came; `rebatched`, with others as one, records copied unread;
 * `decoded`, event by event.
 */
export type Tier = 'raw' | 'rebatched' | 'decoded'

/** Events that travel together. Order holds inside one shard. */
export interface Batch {
  readonly shard: string
  /** The cursor to commit once the sink has the batch: the place behind its last event. Opaque, at most 64 bytes. */
  readonly last: string
  /** How many events there are. */
  readonly count: number
  /** The newest time stamp in it, milliseconds since 1970. */
  readonly newest: number
  /**
   * The oldest one of a batch that somebody else has made and that was looked through: its sink holds it inside what its queue
   * keeps (hardening H32). Absent where the batch is our own: its time stamps stay as they are.
   */
  readonly oldest?: number
  /** What it took the source to make it, and of how many of its broker's batches; absent: it is one of them, as it came. */
  readonly made?: { readonly tier: Tier; readonly batches: number }
  /** The bytes as they came, for who passes them on without looking inside. */
  readonly raw?: { readonly format: 'kafka-v2'; readonly codec: Codec; readonly bytes: Uint8Array }
  /** Decodes lazily. Throws FnapError BADEVENT when the expanded records pass `limit.bytes` (decompression bombs). */
  events(limit: { bytes: number }): Iterable<FlowEvent>
}

/** Where a reader stands: a cursor for each shard, of one epoch of the flow's queue. */
export interface Position {
  readonly epoch: string
  readonly shards: Readonly<Record<string, string>>
}

/** Where reading starts. `time` is in milliseconds since 1970. */
export type From =
  | { readonly at: 'earliest' | 'latest' }
  | { readonly at: 'time'; readonly time: number }
  | { readonly at: 'position'; readonly position: Position }

/** Events that a reader will never see: `from` and `to` are cursors, `to` being the first that it will see. */
export interface Gap {
  readonly shard: string
  readonly from: string
  readonly to: string
  readonly reason: 'retention' | 'epoch' | 'truncated'
}
