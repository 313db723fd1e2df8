import type { DnsRecord } from '@fnaa/protocol'

/** The closed set of plugin kinds, in boot order; closing is the reverse (design: there is no other order). */
export const KINDS = ['store', 'auth', 'dns', 'broker', 'runtime', 'processor', 'gateway'] as const
export type Kind = (typeof KINDS)[number]

/** Last argument of every method across the seam. When `signal` aborts, the method must reject or end soon. */
export interface Call {
  readonly signal: AbortSignal
  /** W3C Trace Context `traceparent`, where the caller had one. */
  readonly traceparent?: string
  /** Look past caches: what is remembered has just been proved wrong (federation F13). Heeded by {@link Resolve}. */
  readonly fresh?: boolean
  /**
   * The write may use the room that a store keeps beyond its limit: for what ends something, finishes what stands already,
   * or is needed to boot (hardening H9). Never for what somebody can make more and more of. Heeded by stores.
   */
  readonly reserve?: boolean
}

export interface Health {
  readonly ok: boolean
  readonly detail?: string
  /** Seconds that the clock of what it speaks to is ahead of ours, where that says its time. */
  readonly clockSeconds?: number
}

/** What every plugin's `setup` returns. `close` undoes what `setup` did; it is called once. */
export interface Service {
  health(c: Call): Promise<Health>
  close(): Promise<void>
}

/** One event per call; the kernel adds the plugin's id and masks secrets. */
export interface Logger {
  debug(o: object, m?: string): void
  info(o: object, m?: string): void
  warn(o: object, m?: string): void
  error(o: object, m?: string): void
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [k: string]: Json }

/** Time comes from one clock, so that leases, polls and tombstones are tested by turning it. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00Z. */
  now(): number
  /** Resolves after `ms` milliseconds of this clock, or as soon as `signal` aborts (it never rejects). */
  timer(ms: number, signal: AbortSignal): Promise<void>
}

export interface DialTarget {
  readonly host: string
  readonly port: number
  /** Absent: plain TCP. `ca` is PEM; absent, the system's roots hold. */
  readonly tls?: { readonly servername: string; readonly ca?: string }
  /**
   * Memory of the caller's for what arrives, as Node's `onread` takes it; there are no `data` events then. Who dials may
   * leave it aside and hand out a stream that emits them.
   */
  readonly onread?: ReceiveInto
}
export interface ReceiveInto {
  /** Where the next bytes go. */
  buffer(): Uint8Array
  /** So many have come, into what `buffer` gave last. @returns true: go on reading */
  callback(bytes: number, into: Uint8Array): boolean
}

/**
 * The only way out to an address that a stranger named: resolves `host`, checks every address against the block list,
 * connects to the checked address (never resolving twice) and, with `tls`, finishes the handshake.
 * @throws FNA_ERR_ADDRESS where the guard refuses, FNA_ERR_UNAVAILABLE where nobody answers.
 */
export type Dial = (t: DialTarget, c: Call) => Promise<NodeJS.ReadWriteStream>

/** A DNS answer with its security status; `records` holds only records of the asked type (CNAMEs are followed). */
export interface Answer {
  readonly records: readonly DnsRecord[]
  readonly status: 'secure' | 'insecure' | 'bogus'
  /** Seconds. */
  readonly ttl: number
}
/** @throws FNA_ERR_UNAVAILABLE on a time-out or SERVFAIL; NXDOMAIN and NODATA are an Answer without records. */
export type Resolve = (name: string, type: DnsRecord['type'], c: Call) => Promise<Answer>

export interface Entry {
  readonly value: Uint8Array
  /** Opaque: compare by equality only. */
  readonly revision: string
}

/** A durable bucket. Keys are at most 512 bytes of UTF-8 and sort by their bytes. */
export interface KeyValue {
  get(key: string, c: Call): Promise<Entry | null>
  /**
   * `ifRevision: null` writes only where nothing stands, a string only over that revision (else FNA_ERR_CONFLICT).
   * Resolves when the value is on disk; with `durable: false`, when a reader sees it.
   * @returns the new revision
   */
  put(key: string, value: Uint8Array, opt: { ifRevision?: string | null; durable?: boolean }, c: Call): Promise<string>
  delete(key: string, opt: { ifRevision?: string }, c: Call): Promise<void>
  /** Keys that begin with `prefix`, after `after` (exclusive), sorted, at most `limit`. */
  list(prefix: string, opt: { after?: string; limit: number }, c: Call): Promise<readonly (readonly [string, Entry])[]>
}

/** All a plugin ever gets. There is no `use`: plugins do not know each other. */
export interface Ctx {
  /** Instance id: one plugin may be configured twice. */
  readonly id: string
  readonly log: Logger
  /** Aborts when the agent closes. */
  readonly signal: AbortSignal
  readonly agent: {
    readonly host: string
    readonly domains: readonly string[]
    /** Directory for this instance's own files; made on first use by the plugin, mode 0700. */
    readonly directory: string
  }
  /** Durable, sealed, private to this instance. A store plugin gets none (it throws FNA_ERR_CLOSED). */
  readonly state: KeyValue
  readonly dial: Dial
  readonly resolve: Resolve
  readonly clock: Clock
  /**
   * Password hashing goes through one process-wide queue of two: libuv's threads also commit the store. In a login say for
   * whom: clients take turns by their network, and who has gone is not hashed for.
   * @throws FNA_ERR_FULL where too many wait, FNA_ERR_CLOSED where the client has gone: pass both on, they are temporary
   */
  readonly hash: <T>(work: () => Promise<T>, who?: HashFor) => Promise<T>
}
/** The client that a password is hashed for. */
export interface HashFor {
  readonly address: string
  readonly signal: AbortSignal
}
