import type { Call, Clock, Kinds, Resource, StoreService } from '@fnaa/core/plugin'
import { FnaError } from '@fnaa/core/plugin'
import type { Lock } from '@fnaa/lib-lmdb'
import { aborted, type Disk } from '@fnaa/lib-lmdb'
import { bucket } from './bucket.js'
import { Changes } from './changes.js'
import { Elections } from './elections.js'
import { checkGroup } from './keys.js'
import { type New, type Patch, type Query, Resources } from './resources.js'

type Kind = keyof Kinds

/** How much of the past a watch can replay: this many changes, and no more than an eighth of the room. */
const KEPT_CHANGES = 8192
const KEPT_SHARE = 8

/** The StoreService over an open disk; `id` names this store in the positions of watches. */
export function storeService(disk: Disk, lock: Lock, id: string, clock: Clock, kept = KEPT_CHANGES): StoreService {
  const changes = new Changes(disk, id, { entries: kept, bytes: disk.limit / KEPT_SHARE })
  const resources = new Resources(disk, changes, clock)
  const elections = new Elections(disk)
  // Now: to open a table is a synchronous write, which later would wait for the commits under way.
  disk.table('buckets')
  let closed = false
  const open = () => {
    if (closed) throw new FnaError('FNA_ERR_CLOSED', 'the store is closed')
  }
  const enter = (c: Call) => {
    open()
    if (c.signal.aborted) throw aborted(c.signal)
  }
  return {
    get: async <K extends Kind>(kind: K, name: string, c: Call) => {
      enter(c)
      return resources.get(kind, name) as Resource<K> | null
    },
    list: async <K extends Kind>(kind: K, q: Query, c: Call) => {
      enter(c)
      return resources.list(kind, q) as { items: Resource<K>[]; next?: string; at: string }
    },
    create: async <K extends Kind>(r: New<K>, c: Call) => {
      enter(c)
      return (await resources.create(r as New<Kind>, c)) as Resource<K>
    },
    update: async <K extends Kind>(seen: Resource<K>, change: Patch, c: Call) => {
      enter(c)
      return (await resources.update(seen as Resource, change, c)) as Resource<K>
    },
    async delete(kind, name, opt, c) {
      enter(c)
      return resources.delete(kind, name, opt, c)
    },
    watch(kinds, after, c) {
      open()
      return changes.watch(kinds, after, c)
    },
    bucket(name) {
      open()
      checkGroup('bucket', name)
      return bucket(disk, name, open)
    },
    async elect(name, identity, c) {
      enter(c)
      return elections.elect(name, identity, c)
    },
    async usage(c) {
      enter(c)
      return disk.usage()
    },
    async health() {
      if (closed) return { ok: false, detail: 'closed' }
      return disk.failed ? { ok: false, detail: disk.failed.message } : { ok: true }
    },
    async close() {
      if (closed) return
      closed = true
      elections.close()
      changes.close()
      await disk.close(() => lock.release())
    },
  }
}
