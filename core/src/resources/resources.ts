import type { Call } from '../contract/common.js'
import { FnaError, isFna } from '../contract/errors.js'
import type { Kinds } from '../contract/kinds.js'
import type { Resource, StoreService } from '../contract/store.js'
import { same } from './conditions.js'

export type KindName = keyof Kinds
export const KIND_NAMES: readonly KindName[] = [
  'Namespace',
  'Flow',
  'Subscription',
  'Subscriber',
  'Processor',
  'Grant',
  'Access',
  'Request',
  'Peer',
  'Agent',
]
/** `previous` is absent for a new one; `gone` says that this was the last word of it. */
export type Listener = (now: Resource, previous: Resource | undefined, gone: boolean) => void

/** Spec fields by which the kernel looks resources up. */
const INDEXES: Partial<Record<KindName, readonly string[]>> = {
  Flow: ['namespace', 'owner'],
  Subscription: ['for', 'local', 'source'],
  Subscriber: ['flow', 'peer', 'for'],
  Access: ['flow', 'who'],
  Request: ['flow', 'subscription', 'peer'],
}

type Change<K extends KindName> = {
  spec?: Kinds[K]['spec']
  status?: Kinds[K]['status']
  finalizers?: readonly string[]
}

/**
 * All resources in memory, over the store. A store of one process has no other writer, so what stands here is what stands
 * there: reads and authorisation cost no await. Writes go to the store first and are seen here once durable.
 */
export class Resources {
  readonly #store: StoreService
  readonly #byKind = new Map<KindName, Map<string, Resource>>(KIND_NAMES.map(k => [k, new Map()]))
  readonly #index = new Map<string, Map<string, Set<string>>>()
  readonly #listeners = new Set<Listener>()
  readonly #locks = new Map<string, Promise<unknown>>()

  constructor(store: StoreService) {
    this.#store = store
  }

  /** Reads everything; call once before use. */
  async load(c: Call): Promise<void> {
    for (const kind of KIND_NAMES) {
      let after: string | undefined
      do {
        const page = await this.#store.list(kind, { limit: 1000, ...(after === undefined ? {} : { after }) }, c)
        for (const r of page.items) this.#put(r as Resource)
        after = page.next
      } while (after !== undefined)
    }
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get<K extends KindName>(kind: K, name: string): Resource<K> | undefined {
    return this.#byKind.get(kind)!.get(name) as Resource<K> | undefined
  }

  /** Sorted by name. */
  list<K extends KindName>(kind: K): Resource<K>[] {
    return ([...this.#byKind.get(kind)!.values()] as Resource<K>[]).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Those whose indexed spec field has this value, sorted by name. */
  by<K extends KindName>(kind: K, field: string, value: string): Resource<K>[] {
    const names = this.#index.get(`${kind}.${field}`)?.get(value)
    return names ? [...names].sort().map(n => this.get(kind, n)!) : []
  }

  count(kind: KindName): number {
    return this.#byKind.get(kind)!.size
  }

  /** @throws FNA_ERR_EXISTS, also where a namespace has the name of a flow, or the other way round (hardening H15) */
  async create<K extends KindName>(
    r: Pick<Resource<K>, 'kind' | 'name' | 'spec' | 'finalizers' | 'owner'> & { status?: Kinds[K]['status'] },
    c: Call,
  ): Promise<Resource<K>> {
    const make = () =>
      this.#exclusive(r.kind, r.name, async () => {
        const made = await this.#store.create(r, c)
        this.#apply(made as Resource)
        return made
      })
    const other = r.kind === 'Flow' ? 'Namespace' : r.kind === 'Namespace' ? 'Flow' : null
    if (!other) return make()
    // One lock for both kinds: of two that are made at once, the second one sees the first.
    return this.#exclusive('name', r.name, async () => {
      if (this.get(other, r.name)) throw new FnaError('FNA_ERR_EXISTS', `a ${other.toLowerCase()} has that name`)
      return make()
    })
  }

  /**
   * Applies `change` to the newest state; nothing is written where nothing changes. `change` may return undefined: leave it.
   * @returns the resource as it stands afterwards, undefined where there is none (or it is another uid)
   */
  async update<K extends KindName>(
    kind: K,
    name: string,
    change: (now: Resource<K>) => Change<K> | undefined,
    c: Call,
    uid?: string,
  ): Promise<Resource<K> | undefined> {
    return this.#exclusive(kind, name, async () => {
      for (;;) {
        const now = this.get(kind, name)
        if (!now || (uid !== undefined && now.uid !== uid)) return undefined
        const next = change(now)
        if (!next || isSame(now, next)) return now
        try {
          const made = await this.#store.update(now, next, c)
          const last = made.deleting !== undefined && made.finalizers.length === 0
          this.#apply(made as Resource, last)
          return last ? undefined : made
        } catch (e) {
          if (!isFna(e, 'FNA_ERR_CONFLICT')) throw e
          const fresh = await this.#store.get(kind, name, c)
          if (!fresh) return undefined
          this.#apply(fresh as Resource)
        }
      }
    })
  }

  async delete(kind: KindName, name: string, c: Call, uid?: string): Promise<'deleting' | 'gone' | 'absent'> {
    return this.#exclusive(kind, name, async () => {
      const now = this.get(kind, name)
      if (!now || (uid !== undefined && now.uid !== uid)) return 'absent'
      const outcome = await this.#store.delete(kind, name, { uid: now.uid }, c)
      if (outcome === 'deleting') {
        const fresh = await this.#store.get(kind, name, c)
        if (fresh) this.#apply(fresh as Resource)
      } else this.#apply(now as Resource, true)
      return outcome
    })
  }

  /**
   * Waits until `done` says so of the resource (undefined: gone).
   * @returns what `done` returned; undefined when the signal aborts first
   */
  until<K extends KindName, T>(
    kind: K,
    name: string,
    done: (now: Resource<K> | undefined) => T | undefined,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const finish = (value: T | undefined) => {
        stop()
        signal.removeEventListener('abort', onAbort)
        resolve(value)
      }
      const onAbort = () => finish(undefined)
      const look = () => {
        try {
          const value = done(this.get(kind, name))
          if (value !== undefined) finish(value)
        } catch (e) {
          stop()
          signal.removeEventListener('abort', onAbort)
          reject(e)
        }
      }
      const stop = this.onChange(r => {
        if (r.kind === kind && r.name === name) look()
      })
      if (signal.aborted) return finish(undefined)
      signal.addEventListener('abort', onAbort, { once: true })
      look()
    })
  }

  /** One write per object at a time, so that the order here is the store's. */
  async #exclusive<T>(kind: KindName | 'name', name: string, work: () => Promise<T>): Promise<T> {
    const key = `${kind}/${name}`
    const before = this.#locks.get(key)
    const run = (async () => {
      await before?.catch(() => undefined)
      return work()
    })()
    this.#locks.set(key, run)
    try {
      return await run
    } finally {
      if (this.#locks.get(key) === run) this.#locks.delete(key)
    }
  }

  #apply(r: Resource, gone = false): void {
    const previous = this.get(r.kind, r.name)
    if (gone) this.#remove(r)
    else this.#put(r)
    for (const listener of [...this.#listeners]) listener(r, previous, gone)
  }

  #put(r: Resource): void {
    const old = this.get(r.kind, r.name)
    if (old) this.#unindex(old)
    this.#byKind.get(r.kind)!.set(r.name, r)
    this.#eachIndex(r, (index, value) => {
      const names = index.get(value)
      if (names) names.add(r.name)
      else index.set(value, new Set([r.name]))
    })
  }

  #remove(r: Resource): void {
    const old = this.get(r.kind, r.name)
    if (!old) return
    this.#unindex(old)
    this.#byKind.get(r.kind)!.delete(r.name)
  }

  #unindex(r: Resource): void {
    this.#eachIndex(r, (index, value) => {
      const names = index.get(value)
      names?.delete(r.name)
      if (names?.size === 0) index.delete(value)
    })
  }

  #eachIndex(r: Resource, each: (index: Map<string, Set<string>>, value: string) => void): void {
    for (const field of INDEXES[r.kind] ?? []) {
      const value = (r.spec as unknown as Record<string, unknown>)[field]
      if (typeof value !== 'string') continue
      const key = `${r.kind}.${field}`
      let index = this.#index.get(key)
      if (!index) {
        index = new Map()
        this.#index.set(key, index)
      }
      each(index, value)
    }
  }
}

function isSame<K extends KindName>(now: Resource<K>, next: Change<K>): boolean {
  return (
    (next.spec === undefined || same(next.spec, now.spec)) &&
    (next.status === undefined || same(next.status, now.status)) &&
    (next.finalizers === undefined || same(next.finalizers, now.finalizers))
  )
}
