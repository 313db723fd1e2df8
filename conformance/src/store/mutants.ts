import type { Call, Change, Kinds, Plugin, Resource, StoreService } from '@fnaa/core/plugin'
import { call } from '../harness.js'

type Kind = keyof Kinds
type Breakage = (good: StoreService) => Partial<StoreService>

/** A way to break a store, whichever it is. */
export interface StoreMutant {
  readonly name: string
  plugin(good: Plugin<'store'>): Plugin<'store'>
}

const breakages: Record<string, Breakage> = {
  'create overwrites what is there': s => ({
    create: (async (r: Resource, c: Call) => {
      const found = await s.get(r.kind, r.name, c)
      return found ? s.update(found, { spec: r.spec, finalizers: r.finalizers }, c) : s.create(r, c)
    }) as StoreService['create'],
  }),
  'create does not keep the status': s => ({
    create: ((r: Resource, c: Call) => s.create({ ...r, status: { conditions: [] } }, c)) as StoreService['create'],
  }),
  'update ignores the revision': s => ({
    update: (async (seen: Resource, change: object, c: Call) => {
      const found = await s.get(seen.kind, seen.name, c)
      return s.update(found ?? seen, change, c)
    }) as StoreService['update'],
  }),
  'update empties the status that it was not given': s => ({
    update: ((seen: Resource, change: object, c: Call) =>
      s.update(seen, { status: { conditions: [] }, ...change }, c)) as StoreService['update'],
  }),
  'every write raises the generation': s => ({
    update: (async (seen: Resource, change: object, c: Call) => {
      const r = await s.update(seen, change, c)
      return { ...r, generation: r.generation + 1 }
    }) as StoreService['update'],
  }),
  'delete ignores finalizers': s => ({
    async delete(kind, name, opt, c) {
      const found = await s.get(kind, name, c)
      if (found?.finalizers.length) await s.update(found as Resource, { finalizers: [] }, c)
      return s.delete(kind, name, opt, c)
    },
  }),
  'delete ignores the uid': s => ({ delete: (kind, name, _opt, c) => s.delete(kind, name, {}, c) }),
  'the last finalizer taken off leaves it there': s => ({
    update: ((seen: Resource, change: { finalizers?: readonly string[] }, c: Call) =>
      seen.deleting && change.finalizers?.length === 0
        ? Promise.resolve({ ...seen, finalizers: [] })
        : s.update(seen, change, c)) as StoreService['update'],
  }),
  'list skips the first item of each page but the first': s => ({
    list: (async (kind: Kind, q: { after?: string; limit: number }, c: Call) => {
      const page = await s.list(kind, q, c)
      return q.after === undefined ? page : { ...page, items: page.items.slice(1) }
    }) as StoreService['list'],
  }),
  'list is not sorted': s => ({
    list: (async (kind: Kind, q: { limit: number }, c: Call) => {
      const page = await s.list(kind, q, c)
      return { ...page, items: [...page.items].reverse() }
    }) as StoreService['list'],
  }),
  'list ignores the field': s => ({
    list: ((kind: Kind, { field: _, ...q }: { field?: unknown; limit: number }, c: Call) =>
      s.list(kind, q, c)) as StoreService['list'],
  }),
  'watch drops every third change': s => ({ watch: (...a) => edit(s.watch(...a), (_, n) => n % 3 !== 2) }),
  'watch gives every kind': s => ({
    watch: (_kinds, after, c) => s.watch(['Flow', 'Namespace', 'Peer'], after, c),
  }),
  'watch never asks for a resync': s => ({ watch: (...a) => edit(s.watch(...a), change => change.type !== 'resync') }),
  'watch does not end': s => ({
    watch: (kinds, after) => s.watch(kinds, after, call()),
  }),
  'two lead at once, with the same epoch': s => ({
    async elect(name, identity, c) {
      const l = await s.elect(`${name}.${identity}`, identity, c)
      return { ...l, epoch: 1 }
    },
  }),
  'the epoch does not rise': s => ({
    async elect(name, identity, c) {
      return { ...(await s.elect(name, identity, c)), epoch: 7 }
    },
  }),
  'a bucket ignores the revision': s => ({
    bucket: name => {
      const b = s.bucket(name)
      return { ...b, put: (k, v, _opt, c) => b.put(k, v, {}, c), delete: (k, _opt, c) => b.delete(k, {}, c) }
    },
  }),
  'all buckets are one': s => ({ bucket: () => s.bucket('secrets') }),
  'a call that was given up is made nevertheless': s => ({
    create: ((r: Resource) => s.create(r, call())) as StoreService['create'],
  }),
  'usage never changes': () => ({ usage: async () => ({ used: 1, limit: 2 }) }),
  'it goes on after closing': s => ({
    get: (async (kind: Kind, name: string, c: Call) => {
      try {
        return await s.get(kind, name, c)
      } catch {
        return null
      }
    }) as StoreService['get'],
  }),
  'what is created is gone after a restart': s => {
    const made: Resource[] = []
    const c = call()
    return {
      create: (async (r: Resource) => {
        const m = (await s.create(r, c)) as Resource
        made.push(m)
        return m
      }) as StoreService['create'],
      async close() {
        for (const m of made) await s.delete(m.kind, m.name, {}, c)
        await s.close()
      },
    }
  },
}

/** Stores that break one promise each. The suite must notice every one: that is the test of the suite. */
export const storeMutants: readonly StoreMutant[] = Object.entries(breakages).map(([name, breakage]) => ({
  name,
  plugin: good => ({
    ...good,
    async setup(ctx) {
      const service = await good.setup(ctx)
      return { ...service, ...breakage(service) }
    },
  }),
}))

async function* edit(changes: AsyncIterable<Change>, keep: (change: Change, n: number) => boolean) {
  let n = 0
  for await (const change of changes) if (keep(change, n++)) yield change
}
