import { type Entry, FnaError, type KeyValue } from '@fnaa/core/plugin'

/** A bucket in memory, for a plugin's `ctx.state` in tests. Durable as long as the object lives. */
export function memoryKeyValue(): KeyValue {
  const entries = new Map<string, Entry>()
  let writes = 0
  const expect = (key: string, ifRevision: string | null | undefined) => {
    if (ifRevision !== undefined && (entries.get(key)?.revision ?? null) !== ifRevision)
      throw new FnaError('FNA_ERR_CONFLICT', 'the key does not hold the revision named')
  }
  return {
    async get(key) {
      return entries.get(key) ?? null
    },
    async put(key, value, opt) {
      expect(key, opt.ifRevision)
      const revision = String(++writes)
      entries.set(key, { value: Uint8Array.from(value), revision })
      return revision
    },
    async delete(key, opt) {
      expect(key, opt.ifRevision)
      entries.delete(key)
    },
    async list(prefix, { after, limit }) {
      const keys = [...entries.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      const found = keys.filter(k => k.startsWith(prefix) && (after === undefined || bytesAfter(k, after)))
      return found.slice(0, limit).map(k => [k, entries.get(k)!] as const)
    },
  }
}

const bytesAfter = (a: string, b: string): boolean => Buffer.compare(Buffer.from(a), Buffer.from(b)) > 0
