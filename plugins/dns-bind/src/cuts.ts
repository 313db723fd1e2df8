import type { Call, Ctx, OwnerSet } from '@fnaa/core/plugin'
import type { DnsRecord } from '@fnaa/protocol'

type Records = readonly DnsRecord[]
interface Kept {
  /** What stood there before the last update. */
  readonly stood: Records
  /** What that update should write. */
  readonly wanted: Records
}

/**
 * What we wrote of a delegation: NS and DS at the cut, addresses below it. A server that also serves the zone below answers from
 * that one, so what stands in the upper zone cannot be read; what we think is put into the update as a condition instead.
 */
export class Cuts {
  readonly #zone: string
  readonly #ctx: Ctx

  constructor(zone: string, ctx: Ctx) {
    this.#zone = zone
    this.#ctx = ctx
  }

  /** What may stand at an owner, the likeliest first: what we wrote last, what stood before a crash, nothing, what is wanted. */
  async guesses({ owner, records }: OwnerSet, c: Call): Promise<Records[]> {
    const entry = await this.#ctx.state.get(this.#key(owner), c)
    const kept = entry ? (JSON.parse(Buffer.from(entry.value).toString()) as Kept) : null
    const all = [...(kept ? [kept.wanted, kept.stood] : []), [], records]
    return [...new Map(all.map(r => [JSON.stringify(r), r])).values()]
  }

  /** Before an update. */
  async take({ owner, records }: OwnerSet, stood: Records, c: Call): Promise<void> {
    await this.#put(owner, { stood, wanted: records }, c)
  }

  /** After one that was made. */
  async settle({ owner, records }: OwnerSet, c: Call): Promise<void> {
    if (records.length > 0) return this.#put(owner, { stood: records, wanted: records }, c)
    await this.#ctx.state.delete(this.#key(owner), {}, c).catch(() => undefined)
  }

  async #put(owner: string, kept: Kept, c: Call): Promise<void> {
    await this.#ctx.state.put(this.#key(owner), Buffer.from(JSON.stringify(kept)), {}, c)
  }

  #key(owner: string): string {
    return `cut/${this.#zone}/${owner}`
  }
}
