import type { DnsRecord } from '@fnaa/protocol'

/** All records by owner, in memory, with what a server must know of the names between them. */
export class Data {
  readonly #sets = new Map<string, readonly DnsRecord[]>()
  /** For each name, how many owners lie below it: names without records of their own exist too (RFC 8020). */
  readonly #below = new Map<string, number>()

  get(owner: string): readonly DnsRecord[] {
    return this.#sets.get(owner) ?? []
  }

  /** Does a name exist: by records of its own, or by ones below it? */
  exists(name: string): boolean {
    return this.#sets.has(name) || this.#below.has(name)
  }

  /** Replaces an owner's set; an empty one removes the owner. */
  set(owner: string, records: readonly DnsRecord[]): void {
    const had = this.#sets.has(owner)
    const has = records.length > 0
    if (has) this.#sets.set(owner, records)
    else this.#sets.delete(owner)
    if (had !== has) this.#count(owner, has ? 1 : -1)
  }

  #count(owner: string, change: 1 | -1): void {
    for (let dot = owner.indexOf('.'); dot >= 0; dot = owner.indexOf('.', dot + 1)) {
      const name = owner.slice(dot + 1)
      const count = (this.#below.get(name) ?? 0) + change
      if (count === 0) this.#below.delete(name)
      else this.#below.set(name, count)
    }
  }
}
