import type { Call, KeyValue, Service } from './common.js'
import type { Kinds } from './kinds.js'

export interface Resource<K extends keyof Kinds = keyof Kinds> {
  readonly kind: K
  readonly name: string
  /** Never reused: deleting and creating makes another. 26 characters of base32. */
  readonly uid: string
  /** Opaque: compare by equality only. Changes with every write. */
  readonly revision: string
  /** Starts at 1; one more whenever `spec` changes. */
  readonly generation: number
  /** RFC 3339; set by `delete` while finalizers remain. */
  readonly deleting?: string
  readonly finalizers: readonly string[]
  readonly owner?: { readonly kind: keyof Kinds; readonly name: string; readonly uid: string }
  readonly created: string
  readonly spec: Kinds[K]['spec']
  readonly status: Kinds[K]['status']
}

/** `resync` says: changes may have been missed, list again. */
export type Change =
  | { readonly type: 'put' | 'gone'; readonly resource: Resource; readonly at: string }
  | { readonly type: 'resync' }

export interface Leadership {
  /** Rises with every election of this name, across restarts. */
  readonly epoch: number
  readonly lost: AbortSignal
  resign(): Promise<void>
}

export interface StoreSupports {
  /** True where several processes may open the store at once. */
  readonly shared: boolean
}

/**
 * Resources with compare-and-swap, finalizers and watches; buckets of bytes beside them. Where its limit is reached, what
 * adds bytes is FNA_ERR_FULL; deleting, shrinking, elections and calls with `reserve` go on.
 */
export interface StoreService extends Service {
  /** Linearizable. */
  get<K extends keyof Kinds>(kind: K, name: string, c: Call): Promise<Resource<K> | null>
  /** Sorted by name. `field` compares one top-level field of spec. `next` continues as `after`; a watch begins at the first page's `at`. */
  list<K extends keyof Kinds>(
    kind: K,
    q: { prefix?: string; field?: readonly [string, string]; after?: string; limit: number },
    c: Call,
  ): Promise<{ readonly items: readonly Resource<K>[]; readonly next?: string; readonly at: string }>
  /** Durable when it resolves. @throws FNA_ERR_EXISTS, also while the old one of this name is being deleted */
  create<K extends keyof Kinds>(
    r: Pick<Resource<K>, 'kind' | 'name' | 'spec' | 'finalizers' | 'owner'> & { readonly status?: Kinds[K]['status'] },
    c: Call,
  ): Promise<Resource<K>>
  /**
   * Compare-and-swap on `seen.revision`. Durable when it resolves. A resource that is being deleted goes with its last finalizer.
   * @throws FNA_ERR_CONFLICT where another revision stands, or nothing does
   */
  update<K extends keyof Kinds>(
    seen: Resource<K>,
    change: { spec?: Kinds[K]['spec']; status?: Kinds[K]['status']; finalizers?: readonly string[] },
    c: Call,
  ): Promise<Resource<K>>
  /** Marks it as deleting while it has finalizers, else removes it. With `uid`, only that one (else FNA_ERR_CONFLICT). */
  delete(kind: keyof Kinds, name: string, opt: { uid?: string }, c: Call): Promise<'deleting' | 'gone' | 'absent'>
  /** Per object in order, at least once, from `after` (an `at`) on; ends when the signal aborts. */
  watch(kinds: readonly (keyof Kinds)[], after: string, c: Call): AsyncIterable<Change>
  bucket(name: 'secrets' | 'cursors' | 'audit' | `plugin:${string}`): KeyValue
  /** Waits until this process leads `name`. */
  elect(name: string, identity: string, c: Call): Promise<Leadership>
  /** Bytes used and the most that it may use; `limit` Infinity where unknown (hardening H9). */
  usage(c: Call): Promise<{ readonly used: number; readonly limit: number }>
}
