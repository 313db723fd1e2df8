import { type Call, type Entry, FnaError, type KeyValue } from '@fnaa/core/plugin'

/** A bucket in memory, for a plugin's `ctx.state` in tests. Durable as long as the object lives. */
export class MemoryKeyValue implements KeyValue {
  readonly entries = new Map<string, Entry>()
  /** Puts and deletes that were done. */
  writes = 0
  /** Runs ahead of each write, and may throw or wait. */
  before: (op: 'put' | 'delete', key: string) => void | Promise<void> = () => {}
  #revision = 0

  async get(key: string, _c?: Call): Promise<Entry | null> {
    return this.entries.get(key) ?? null
  }

  async put(key: string, value: Uint8Array, opt: { ifRevision?: string | null }, _c?: Call): Promise<string> {
    await this.before('put', key)
    this.#expect(key, opt.ifRevision)
    this.writes++
    const revision = String(++this.#revision)
    this.entries.set(key, { value: Uint8Array.from(value), revision })
    return revision
  }

  async delete(key: string, opt: { ifRevision?: string | null } = {}, _c?: Call): Promise<void> {
    await this.before('delete', key)
    this.#expect(key, opt.ifRevision)
    this.writes++
    this.entries.delete(key)
  }

  async list(prefix: string, { after, limit }: { after?: string; limit: number }, _c?: Call) {
    const keys = [...this.entries.keys()].sort(byBytes)
    const found = keys.filter(k => k.startsWith(prefix) && (after === undefined || byBytes(k, after) > 0))
    return found.slice(0, limit).map(k => [k, this.entries.get(k)!] as const)
  }

  #expect(key: string, ifRevision: string | null | undefined): void {
    if (ifRevision !== undefined && (this.entries.get(key)?.revision ?? null) !== ifRevision)
      throw new FnaError('FNA_ERR_CONFLICT', 'the key does not hold the revision named')
  }
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
