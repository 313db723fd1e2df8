import type { DnsService, OwnerSet, Plugin } from '@fnaa/core/plugin'
import { call } from '../harness.js'
import { front, type Tamper } from './front.js'

/** A way to break a DNS plugin, whichever it is. */
export interface DnsMutant {
  readonly name: string
  plugin(good: Plugin<'dns'>): Plugin<'dns'>
}
type Breakage = (good: DnsService) => Partial<DnsService>

/** Applies set by set and goes on where one is refused. */
async function oneByOne(s: DnsService, changes: readonly OwnerSet[], refused: (e: unknown) => void) {
  let last = { generation: '' }
  for (const set of changes) {
    try {
      last = await s.apply([set], call())
    } catch (e) {
      refused(e)
    }
  }
  return last
}

const breakages: Record<string, Breakage> = {
  'a change is not made at once': s => ({
    async apply(changes) {
      let failure: unknown
      const done = await oneByOne(s, changes, e => {
        failure = e
      })
      if (failure) throw failure
      return done
    },
  }),
  'what is refused is left out in silence': s => ({ apply: changes => oneByOne(s, changes, () => {}) }),
  'a foreign owner is accepted': s => ({
    apply: (changes, c) =>
      s.apply(changes, c).catch(e => {
        if ((e as { code?: string }).code === 'FNA_ERR_FOREIGN') return { generation: 'none' }
        throw e
      }),
  }),
  'a foreign owner is read': s => ({ read: (owner, c) => s.read(owner, c).catch(() => []) }),
  'bad records are left out': s => ({
    apply: (changes, c) =>
      s.apply(changes, c).catch(e => {
        if ((e as { code?: string }).code !== 'FNA_ERR_INVALID') throw e
        return s.apply(changes.map(({ owner }) => ({ owner, records: [] })).slice(0, 1), c)
      }),
  }),
  'a set is added to': s => ({
    async apply(changes, c) {
      const all = await Promise.all(
        changes.map(async ({ owner, records }) => ({ owner, records: [...(await s.read(owner, c)), ...records] })),
      )
      return s.apply(all, c)
    },
  }),
  'an empty set is no change': s => ({
    apply: (changes, c) =>
      s.apply(
        changes.filter(x => x.records.length > 0),
        c,
      ),
  }),
  'the last owner of a change is lost': s => ({
    apply: (changes, c) => s.apply(changes.length > 1 ? changes.slice(0, -1) : changes, c),
  }),
  'the last record of a set is lost': s => ({
    apply: (changes, c) =>
      s.apply(
        changes.map(x => (x.records.length > 1 ? { ...x, records: x.records.slice(0, -1) } : x)),
        c,
      ),
  }),
  'apply resolves before anything is to be seen': s => ({
    async apply(changes, c) {
      const made = s.apply(changes, c)
      await Promise.race([made.catch(() => {}), Promise.resolve()])
      made.catch(() => {})
      return { generation: String(Math.random()) }
    },
  }),
  'read is stale': s => {
    const first = new Map<string, ReturnType<DnsService['read']>>()
    return {
      read(owner, c) {
        const known = first.get(owner) ?? s.read(owner, c)
        first.set(owner, known)
        return known
      },
    }
  },
  'the generation stays': s => ({
    async apply(changes, c) {
      await s.apply(changes, c)
      return { generation: '1' }
    },
  }),
  'of changes that come at once only the first is made': s => {
    let busy = false
    return {
      async apply(changes, c) {
        if (busy) return { generation: 'busy' }
        busy = true
        try {
          return await s.apply(changes, c)
        } finally {
          busy = false
        }
      },
    }
  },
  'read gives another TTL': s => ({
    read: async (owner, c) => (await s.read(owner, c)).map(r => ({ ...r, ttl: r.ttl + 1 })),
  }),
  'a call that was given up is made nevertheless': s => ({ apply: changes => s.apply(changes, call()) }),
  'key records vanish': s => ({
    apply: (changes, c) =>
      s.apply(
        changes.filter(x => !x.owner.includes('._fnapkey.')),
        c,
      ),
  }),
  'after closing it goes on': s => ({
    read: (owner, c) =>
      s.read(owner, c).catch(e => {
        if ((e as { code?: string }).code === 'FNA_ERR_CLOSED') return []
        throw e
      }),
  }),
  'nothing outlives a restart': s => {
    const owners = new Set<string>()
    return {
      async apply(changes, c) {
        for (const { owner } of changes) owners.add(owner)
        return s.apply(changes, c)
      },
      async close() {
        for (const owner of owners) await s.apply([{ owner, records: [] }], call()).catch(() => {})
        await s.close()
      },
    }
  },
  'it is never well': () => ({ health: async () => ({ ok: false }) }),
}

const answers = (m: Buffer): number => m.readUInt16BE(6)
const setFlags = (m: Buffer, change: (flags: number) => number): Buffer => {
  const out = Buffer.from(m)
  out.writeUInt16BE(change(m.readUInt16BE(2)), 2)
  return out
}

/** Servers that say something else than the plugin. */
const tamperings: Record<string, () => Tamper> = {
  'an absent type is an absent name': () => m => (answers(m) === 0 ? setFlags(m, f => f | 3) : m),
  'an absent name is an absent type': () => m => setFlags(m, f => f & ~15),
  'it does not claim authority': () => m => setFlags(m, f => f & ~0x0400),
  'it claims authority over everything': () => m => setFlags(m, f => f | 0x0400),
  'upper case is another name': () => (m, query) =>
    /[A-Z]{4}/.test(query.toString('latin1')) ? setFlags(Buffer.from(m.fill(0, 6, 8)), f => f | 3) : m,
  'answers are remembered too long': () => {
    const first = new Map<string, Buffer>()
    return (m, query) => {
      const key = query.subarray(12).toString('hex').toLowerCase()
      const known = first.get(key) ?? m
      first.set(key, known)
      return known
    }
  },
  'a cut answer does not say so': () => m => setFlags(m, f => f & ~0x0200),
  'bytes of the data are changed': () => m => {
    if (answers(m) > 0) m[m.length - 2] = m.readUInt8(m.length - 2) ^ 1
    return m
  },
}

const broken = (good: Plugin<'dns'>, change: (s: DnsService) => Promise<Partial<DnsService>>): Plugin<'dns'> => ({
  ...good,
  async setup(ctx) {
    const service = await good.setup(ctx)
    // Methods of a class do not come along with a spread.
    const whole: DnsService = {
      zones: service.zones,
      server: service.server,
      apply: (changes, c) => service.apply(changes, c),
      read: (owner, c) => service.read(owner, c),
      health: c => service.health(c),
      close: () => service.close(),
    }
    return { ...whole, ...(await change(whole)) }
  },
})

/** DNS plugins that break one promise each. The suite must notice every one: that is the test of the suite. */
export const dnsMutants: readonly DnsMutant[] = [
  ...Object.entries(breakages).map(([name, breakage]) => ({
    name,
    plugin: (good: Plugin<'dns'>) => broken(good, async s => breakage(s)),
  })),
  ...Object.entries(tamperings).map(([name, tamper]) => ({
    name,
    plugin: (good: Plugin<'dns'>) =>
      broken(good, async s => {
        const { host, port, close } = await front(s.server, tamper())
        return { server: { host, port }, close: () => Promise.all([close(), s.close()]).then(() => {}) }
      }),
  })),
]
